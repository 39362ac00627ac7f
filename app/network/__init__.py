"""HTTP connections, and the limits that hold before a request reaches the application."""
