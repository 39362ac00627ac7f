"""Stores in Redis or Valkey: one module per kind of data, with its Lua scripts beside it."""
