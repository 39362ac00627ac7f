"""Simulator of a flash-sale travel site with known ground truth; see docs/world.md."""
