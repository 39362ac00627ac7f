"""YAML and JSON documents: each key once, and no booleans but ``true`` and ``false``.

Parsers take the last of two equal keys without a word, and PyYAML the market ``no`` for a boolean.
"""

import json
import re
from collections.abc import Sequence
from typing import Any, Final, TypeVar

import yaml
from yaml.composer import ComposerError

_BOOLEAN: Final = "tag:yaml.org,2002:bool"


class _Loader(yaml.SafeLoader):
    """Loader of plain values."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:  # noqa: ANN401 - passed on
        """Read a mapping, and refuse a key that is there already."""
        # Before merge keys `<<` add theirs: keys of the mapping itself may replace those.
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    msg = f"the key {key.value!r} is there twice"
                    raise ComposerError(problem=msg, problem_mark=key.start_mark)
                seen.add(key.value)
        return node


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag != _BOOLEAN]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
# Those of YAML 1.2. Version 1.1 also has yes, no, on and off.
_Loader.add_implicit_resolver(  # pyright: ignore[reportUnknownMemberType] - untyped
    _BOOLEAN, re.compile("^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


def read_yaml(content: bytes) -> object:
    """Read a YAML or JSON document of plain values.

    Raises:
        YAMLError: If it is malformed, or has a key twice in one mapping.
    """
    return yaml.load(content, _Loader)  # noqa: S506 - a safe loader


class RepeatedKeyError(ValueError):
    """An object of JSON that has a key twice.

    Attributes:
        key: The key.
    """

    def __init__(self, key: str) -> None:
        """Name the key."""
        super().__init__(f"an object has the key {key!r} twice")
        self.key = key


V = TypeVar("V")


def each_key_once(pairs: Sequence[tuple[str, V]]) -> dict[str, V]:
    """Make a dictionary, as an ``object_pairs_hook`` of `json.loads`.

    Raises:
        RepeatedKeyError: If a key is there twice.
    """
    made = dict(pairs)
    if len(made) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise RepeatedKeyError(key)
            seen.add(key)
    return made


def read_json(content: str | bytes) -> object:
    """Read a JSON document.

    Raises:
        RepeatedKeyError: If an object of it has a key twice.
        ValueError: If it is malformed.
    """
    return json.loads(content, object_pairs_hook=each_key_once)
