import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.__main__ import commands
from app.cli.keys import new_api_key, revoke_api_key
from app.security.key import Scope
from app.security.key_ring import KeyRing, read_keys


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
    entry = KeyRing(path).recognise(key)
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

    ring = KeyRing(path)
    assert (revoked[0], again[0]) == (0, 1)
    assert f"{first.split('_')[1]} is revoked; 1 keys are left" in revoked[1]
    assert "no key" in again[1]
    assert ring.recognise(first) is None
    assert ring.recognise(second) is not None


def test_keys_that_are_made_at_once_are_all_kept(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A key that was printed works, and one that was revoked meanwhile does not come back."""
    revoked = run("new", "--scope", "read")[1].strip()

    with ThreadPoolExecutor(8) as pool:
        made = [pool.submit(new_api_key, scope=[Scope.READ]) for _ in range(7)]
        pool.submit(revoke_api_key, revoked.split("_")[1]).result()
        for one in made:
            one.result()

    ring = KeyRing(path)
    assert None not in map(ring.recognise, capsys.readouterr().out.split())
    assert ring.recognise(revoked) is None
    assert len(read_keys(path).keys) == 7


def test_a_file_that_is_changed_keeps_the_rights_by_which_the_service_reads_it(path: Path) -> None:
    """An operator changes it as root, and the service runs as another user of its group."""
    run("new", "--scope", "read")
    path.chmod(0o644)
    owner = 12_345 if os.geteuid() == 0 else os.geteuid()
    os.chown(path, owner, -1)

    run("new", "--scope", "read")

    assert path.stat().st_mode & 0o777 == 0o640
    assert path.stat().st_uid == owner


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
