"""Training of the scene labeller, by labelled pictures and a frozen network (transfer learning)."""
