from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.__main__ import commands
from app.security.key_ring import KeyRing


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(commands, ["keys", *arguments])
    return result.exit_code, result.output


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VITRINE_KEYS", str(tmp_path / "keys.json"))
    return tmp_path / "keys.json"


def test_a_new_key_is_printed_once_and_opens_what_it_was_made_for(path: Path) -> None:
    made = run("new", "--scope", "read", "--scope", "events", "--note", "website")
    key = made[1].strip()
    entry = KeyRing(path, lambda: 0.0).recognise(key)
    listed = run("list")

    assert made[0] == 0
    assert entry is not None
    assert entry.scopes == ("events", "read")
    assert key not in path.read_text()
    assert key not in listed[1]
    assert f"{entry.key_id}  {entry.created_at:%Y-%m-%d}  events,read  website" in listed[1]


def test_a_revoked_key_is_forgotten_and_the_others_stay(path: Path) -> None:
    first = run("new", "--scope", "read")[1].strip()
    second = run("new", "--scope", "read")[1].strip()

    revoked = run("revoke", first.split("_")[1])
    again = run("revoke", first.split("_")[1])

    ring = KeyRing(path, lambda: 0.0)
    assert (revoked[0], again[0]) == (0, 1)
    assert "no key" in again[1]
    assert ring.recognise(first) is None
    assert ring.recognise(second) is not None


def test_without_a_file_to_keep_them_in_there_are_no_keys(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("VITRINE_KEYS", raising=False)

    assert run("new", "--scope", "read") == (
        2,
        "error: VITRINE_KEYS is not set: name the file of the keys\n",
    )


@pytest.mark.parametrize("scope", ["everything", ""])
def test_an_unknown_scope_makes_no_key(path: Path, scope: str) -> None:
    assert run("new", "--scope", scope)[0] == 2
    assert not path.exists()
