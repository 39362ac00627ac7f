"""A real store for the tests of what is built upon it."""

from tests.contract.conftest import connection, embedded_url

__all__ = ["connection", "embedded_url"]
