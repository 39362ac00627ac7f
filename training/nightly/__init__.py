"""Nightly run: validate, train, evaluate, decide, publish; resumes after the last stage."""
