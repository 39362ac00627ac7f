"""YAML documents read as JSON is: each key once, and no booleans but ``true`` and ``false``.

PyYAML takes the last of two equal keys without a word, and the market ``no`` for a boolean.
"""

import re
from collections.abc import Hashable
from typing import Any, Final

import yaml

_BOOLEAN: Final = "tag:yaml.org,2002:bool"


class _Loader(yaml.SafeLoader):
    """Loader of plain values."""

    def construct_mapping(  # pyright: ignore[reportIncompatibleMethodOverride] - passed by name
        self, node: yaml.MappingNode, *, deep: bool = False
    ) -> dict[Hashable, Any]:
        """Make a dictionary, and refuse a key that is there already."""
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                msg = f"the key {key.value!r} is there twice"
                raise yaml.constructor.ConstructorError(problem=msg, problem_mark=key.start_mark)
            seen.add(str(key.value))
        return super().construct_mapping(node, deep=deep)


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
