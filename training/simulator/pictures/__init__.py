"""Pictures of a simulated world: rendered scenes, or photographs."""
