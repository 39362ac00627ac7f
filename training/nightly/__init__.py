"""Nightly run: validate, train, evaluate, gate, publish; resumes after the last finished stage."""
