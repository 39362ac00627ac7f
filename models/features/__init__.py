"""Features: named columns, each a pure function of a query."""
