"""Rights of the store's user: the commands that the service sends, and those of its scripts."""

import re
from importlib.resources import files
from typing import Final

_CALL: Final = re.compile(r"redis\.p?call\(\s*'([A-Z]+)'")

# Sent by methods of the stores, outside of scripts.
_DIRECT: Final = frozenset(
    {
        *("EXPIRE", "GET", "HGET", "HGETALL", "HMGET", "HSCAN", "HSET", "HSETNX"),
        *("INFO", "LRANGE", "TIME", "XRANGE", "XTRIM"),
    }
)


def lua(name: str) -> str:
    """Return the text of a Lua file beside this module."""
    return files("app.stores").joinpath(f"{name}.lua").read_text(encoding="utf-8")


def commands_in(source: str) -> frozenset[str]:
    """Return the commands that the text of a script calls."""
    return frozenset(_CALL.findall(source))


def all_commands() -> frozenset[str]:
    """Return all commands with keys, ``INFO`` and ``TIME``, of every store and script."""
    scripts = (one for one in files("app.stores").iterdir() if one.name.endswith(".lua"))
    return _DIRECT.union(*(commands_in(one.read_text(encoding="utf-8")) for one in scripts))
