"""The question that a slate answers: customer, moment, market, candidates."""
