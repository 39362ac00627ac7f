"""Features, recommenders, ranker, slates and experiments, shared by ``training`` and ``app``."""
