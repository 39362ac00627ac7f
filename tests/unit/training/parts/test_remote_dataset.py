"""A dataset in an object store is copied once, then what changed of it."""

from collections.abc import Generator
from pathlib import Path

import obstore
import pytest
from obstore.store import ObjectStore, from_url

from models.dataset import read_dataset
from models.scoring.bundle_storage import StorageError
from tests.datasets import event, sale, write_dataset
from tests.end_to_end.in_process import run_here
from tests.s3 import S3, s3_server
from training.parts.remote_dataset import local_dataset


@pytest.fixture(scope="module")
def s3() -> Generator[S3]:
    with s3_server() as running:
        yield running


@pytest.fixture
def store(s3: S3) -> ObjectStore:
    """Give the prefix of a dataset, which is empty."""
    store = from_url(s3.url, client_options={"allow_http": True})
    for batch in obstore.list(store):  # pyright: ignore[reportUnknownMemberType] - of Arrow
        obstore.delete(store, [one["path"] for one in batch])
    return store


def put(store: ObjectStore, folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            obstore.put(store, path.relative_to(folder).as_posix(), path.read_bytes())


def days(folder: Path, n: int) -> Path:
    """Write a dataset whose events are a file a day."""
    write_dataset(folder, sales=[sale()], events=[])
    (folder / "events.csv").unlink()
    (folder / "events").mkdir(exist_ok=True)
    for day in range(n):
        events = [event(event_id=f"e{day}-{number}") for number in range(3)]
        written = write_dataset(folder / "day", events=events) / "events.csv"
        written.rename(folder / "events" / f"day-{day}.csv")
    for path in (folder / "day").iterdir():
        path.unlink()
    (folder / "day").rmdir()
    return folder


def test_what_changed_is_copied_again_and_what_was_removed_goes(
    s3: S3, store: ObjectStore, tmp_path: Path
) -> None:
    put(store, days(tmp_path / "shop", 3))
    first = local_dataset(s3.url, cache=tmp_path / "cache")
    whole = read_dataset(first)
    before = {path.name: path.stat().st_ino for path in (first / "events").iterdir()}

    obstore.delete(store, ["events/day-0.csv"])
    newer = (tmp_path / "shop/events/day-1.csv").read_bytes().replace(b"e1-0", b"e1-9")
    obstore.put(store, "events/day-1.csv", newer)
    second = local_dataset(s3.url, cache=tmp_path / "cache")

    assert (len(whole.events), whole.fingerprint) == (
        9,
        read_dataset(tmp_path / "shop").fingerprint,
    )
    assert second == first
    after = {path.name: path.stat().st_ino for path in (second / "events").iterdir()}
    assert after["day-2.csv"] == before["day-2.csv"]
    assert "e1-9" in read_dataset(second).events.event_ids
    assert len(read_dataset(second).events) == 6


def test_a_command_takes_a_url(
    s3: S3, store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, days(tmp_path / "shop", 2))
    monkeypatch.chdir(tmp_path)

    found = run_here("training", "validate", "--data", s3.url, "--json")

    assert found.exit_code == 0, found.output
    assert '"events": 6' in found.output


def test_a_store_that_has_no_file_or_no_bucket_is_named(s3: S3, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="the dataset s3://bundles/none holds no file"):
        local_dataset("s3://bundles/none", cache=tmp_path)
    with pytest.raises(StorageError, match="the dataset s3://none/shop cannot be copied"):
        local_dataset("s3://none/shop", cache=tmp_path)
    assert s3.url


def test_a_path_is_taken_as_it_is(tmp_path: Path) -> None:
    assert local_dataset("shops/a", cache=tmp_path) == Path("shops/a")
    assert list(tmp_path.iterdir()) == []
