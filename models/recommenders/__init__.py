"""Recommenders: each scores sales for a query, alone as a policy or as features of the ranker."""
