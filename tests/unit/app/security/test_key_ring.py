import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from app.security.key import KeyFile, Scope, entry_of, new_key
from app.security.key_ring import KeyFileError, KeyRing, read_keys, write_keys


def write(path: Path, *keys: tuple[str, str]) -> None:
    made = datetime(2026, 11, 24, tzinfo=UTC)
    entries = (entry_of(key, key_id, scopes=[Scope.READ], created_at=made) for key_id, key in keys)
    write_keys(path, KeyFile(keys=tuple(entries)))


def test_a_key_counts_and_another_no_longer_once_the_file_says_so(tmp_path: Path) -> None:
    """Rotation: both keys count while callers change from one to the other."""
    path = tmp_path / "keys.json"
    old, new = new_key(), new_key()
    write(path, old)
    ring = KeyRing(path)

    write(path, old, new)
    at_once = ring.recognise(new[1])
    asyncio.run(ring.follow())
    both = [ring.recognise(old[1]), ring.recognise(new[1])]
    write(path, new)
    asyncio.run(ring.follow())

    assert at_once is None
    assert None not in both
    assert ring.recognise(old[1]) is None
    assert ring.recognise(new[1]) is not None


@pytest.mark.parametrize("content", [None, "{", '{"keys": [{}]}'])
def test_a_file_that_breaks_leaves_the_keys_that_it_had(
    tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "keys.json"
    key = new_key()
    write(path, key)
    ring = KeyRing(path)

    path.unlink()
    if content is not None:
        path.write_text(content)
    asyncio.run(ring.follow())

    assert ring.recognise(key[1]) is not None


def test_a_file_that_is_mended_counts_though_its_times_do_not_show_it(tmp_path: Path) -> None:
    """As of a right that was missing: until the next edit a revoked key would stay valid."""
    path = tmp_path / "keys.json"
    old, new = new_key(), new_key()
    write(path, old)
    ring = KeyRing(path)
    write(path, new)
    content, times = path.read_bytes(), path.stat()
    path.write_bytes(b"{" * len(content))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    with capture_logs() as lines:
        for _ in range(3):
            asyncio.run(ring.follow())
            assert ring.recognise(old[1]) is not None

    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    asyncio.run(ring.follow())

    assert ring.recognise(old[1]) is None
    assert ring.recognise(new[1]) is not None
    assert [line["log_level"] for line in lines] == ["error"]


def test_keys_are_written_for_their_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "below" / "keys.json"

    write(path, new_key())

    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["keys.json"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "not read: No such file"),
        ("{", "malformed: the file: Invalid JSON"),
        ('{"keys": [{"key_id": "secret"}]}', "malformed: keys.0.key_id"),
        ('{"keys": [], "keys": []}', "malformed: an object has the key 'keys' twice"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(
    tmp_path: Path, content: str | None, message: str
) -> None:
    path = tmp_path / "keys.json"
    if content is not None:
        path.write_text(content)

    with pytest.raises(KeyFileError, match=message) as caught:
        read_keys(path)

    assert "secret" not in str(caught.value)


def test_a_key_revoked_while_there_are_no_requests_stays_revoked(tmp_path: Path) -> None:
    """The file breaks before the first request after the revocation."""
    path = tmp_path / "keys.json"
    old, new = new_key(), new_key()
    write(path, old, new)
    ring = KeyRing(path)

    write(path, new)
    asyncio.run(ring.follow())
    path.write_text("{broken")
    asyncio.run(ring.follow())

    assert ring.recognise(old[1]) is None
    assert ring.recognise(new[1]) is not None
