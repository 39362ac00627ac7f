"""The user that docs/store.md tells operators to make may do all that the service does."""

import re
from collections.abc import Iterator

from app.stores.rights import all_commands
from tests.contract.servers import documented_rights
from tests.proofs import ROOT

CALL = re.compile(r"redis\.p?call\(\s*'([A-Z]+)'")
ANY_CALL = re.compile(r"redis\.p?call\(")
SENT = re.compile(r"(?:\bexecute\(|\[|\()\s*\"([A-Z]{3,})\"")


def commands_of_scripts() -> Iterator[tuple[str, str]]:
    for path in sorted((ROOT / "app/stores").glob("*.lua")):
        text = path.read_text(encoding="utf-8")
        named = CALL.findall(text)
        assert len(named) == len(ANY_CALL.findall(text)), f"{path.name} computes a command's name"
        yield from ((path.name, name.lower()) for name in named)


def commands_of_modules() -> Iterator[tuple[str, str]]:
    for path in sorted((ROOT / "app/stores").glob("*.py")):
        found = SENT.findall(path.read_text(encoding="utf-8"))
        yield from ((path.name, name.lower()) for name in found)


def granted() -> set[str]:
    return {right.removeprefix("+") for right in documented_rights().split() if right[0] == "+"}


def test_every_command_of_a_script_is_granted() -> None:
    needed = set(commands_of_scripts())

    assert {name for _, name in needed} >= {"zremrangebyscore", "hincrby", "xadd"}
    assert sorted((file, name) for file, name in needed if name not in granted()) == []


def test_every_command_that_a_store_sends_is_granted() -> None:
    rights = granted() | {"ping"}  # of @connection
    needed = set(commands_of_modules())

    assert {name for _, name in needed} >= {"hgetall", "xrange", "time", "evalsha"}
    assert sorted((file, name) for file, name in needed if name not in rights) == []


def test_no_right_is_granted_that_nothing_needs() -> None:
    needed = {name for _, name in (*commands_of_scripts(), *commands_of_modules())}
    subcommands = {right for right in granted() if "|" in right or right.startswith("@")}

    assert sorted(granted() - subcommands - needed) == []


def test_the_rights_that_are_probed_are_those_that_the_page_grants() -> None:
    """But those without a key, which the probe itself needs or a connection."""
    of_connections = {right for right in granted() if "|" in right or right.startswith("@")}

    probed = {name.lower() for name in all_commands()}
    assert probed == granted() - of_connections - {"eval", "evalsha"}
