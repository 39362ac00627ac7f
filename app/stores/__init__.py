"""Adapters of the ports in `app.stores.ports`: Redis or Valkey, and the embedded server."""
