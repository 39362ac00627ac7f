"""Reports of experiments, before their start and after."""
