"""HTTP connections: bounds that hold before a request reaches the application."""
