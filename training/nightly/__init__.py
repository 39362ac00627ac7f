"""The nightly run: validate, train, evaluate, gate, publish; it goes on where it was killed."""
