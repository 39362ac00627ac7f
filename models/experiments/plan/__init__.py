"""Plans of experiments, and the variant that a customer is assigned to."""
