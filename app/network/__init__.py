"""HTTP connections: what holds before a request reaches the application."""
