"""Which variant a customer sees: pure, sticky without a store, the same on every replica."""
