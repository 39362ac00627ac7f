"""Stores in Redis or Valkey: one module a noun, its Lua scripts beside it."""
