"""Adapters of the ports in `app.serving.ports`: Redis or Valkey, and the embedded server."""
