"""Studies of a bundle: ablation, cold start, exploration cost, seeds, hyperparameters."""
