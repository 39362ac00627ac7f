"""Importers: public data sets as datasets of the contract."""
