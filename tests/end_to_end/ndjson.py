"""Schemathesis hook for lines of JSON (NDJSON); named in SCHEMATHESIS_HOOKS."""

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def ndjson(_context: object, value: object) -> bytes:
    """Send a text unchanged; any other value has no lines."""
    return value.encode() if isinstance(value, str) else b""
