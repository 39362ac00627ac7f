"""Makes a scene labeller out of labelled pictures and a frozen network."""
