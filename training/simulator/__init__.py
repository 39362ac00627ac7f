"""A simulated flash-sale travel site, written to be an honest judge; see docs/world.md."""
