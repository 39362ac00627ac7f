from datetime import UTC, datetime
from hashlib import sha256

import pytest
from pydantic import ValidationError

from app.security.key import KeyEntry, KeyFile, Keys, Scope, entry_of, new_key

MADE = datetime(2026, 11, 24, tzinfo=UTC)


def kept(key: str, key_id: str) -> KeyEntry:
    return entry_of(key, key_id, scopes=[Scope.READ], created_at=MADE)


def test_what_is_kept_of_a_key_does_not_contain_it() -> None:
    key_id, key = new_key()

    entry = kept(key, key_id)

    assert entry.sha256 == sha256(key.encode()).hexdigest()
    assert key.split("_", 2)[2] not in entry.model_dump_json()


def test_a_key_is_256_random_bits_after_its_id() -> None:
    """This many are why one fast hash is enough."""
    keys = {new_key() for _ in range(100)}

    assert len({key for _, key in keys}) == 100
    # 32 bytes are 43 characters of base64 without padding.
    assert {len(key.removeprefix(f"vitrine_{key_id}_")) for key_id, key in keys} == {43}


def test_only_the_whole_key_is_recognised() -> None:
    key_id, key = new_key()
    _, other = new_key()
    entry = kept(key, key_id)
    keys = Keys.from_entries([entry])

    assert keys.recognise(key) == entry
    forged = f"vitrine_{key_id}_{other.rpartition('_')[2]}"
    for wrong in ("", "_", key_id, key[:-1], key + "x", key.upper(), other, forged, "\udc80é"):
        assert keys.recognise(wrong) is None


@pytest.mark.parametrize(
    "change",
    [{"sha256": "0" * 63}, {"key_id": "KEY"}, {"scopes": ["all"]}, {"scopes": []}, {"key": "x"}],
)
def test_a_malformed_entry_is_refused(change: dict[str, object]) -> None:
    entry = kept("key", "0a1b2c3d").model_dump(mode="json")

    with pytest.raises(ValidationError, match=next(iter(change))):
        KeyEntry.model_validate({**entry, **change})


def test_two_keys_of_one_id_are_refused() -> None:
    entry = kept("key", "0a1b2c3d")

    with pytest.raises(ValidationError, match="two keys have one key_id"):
        KeyFile(keys=(entry, entry))
