"""Recommenders: score sales for a query, as policies or as features of the ranker."""
