"""Checks of datasets, of online against offline features, and the table of features."""
