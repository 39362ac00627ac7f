"""Bundles in an object store: seen once they are whole, and verified when they are fetched."""

from collections.abc import Generator
from pathlib import Path

import obstore
import pytest
from obstore.store import ObjectStore, from_url

from models.scoring.bundle import MANIFEST, BundleError, read_bundle, write_bundle
from models.scoring.bundle_storage import BundleStorage, StorageError
from tests.bundles import DRAFT
from tests.s3 import s3_server

FILES = {"ranker.txt": b"tree\n", "topics.npz": bytes(range(40)), "empty.npz": b""}


@pytest.fixture(params=["file", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[str]:
    """A folder, and a real server of the S3 protocol."""
    if request.param == "file":
        yield f"file://{tmp_path}/storage"
        return
    with s3_server() as s3:
        yield s3.url


@pytest.fixture
def storage(url: str) -> BundleStorage:
    return BundleStorage.open(url)


@pytest.fixture
def objects(storage: BundleStorage) -> ObjectStore:
    """What lies in the storage, without our code."""
    if storage.url.startswith("file"):
        return from_url(storage.url)
    return from_url(storage.url, client_options={"allow_http": True})


def bundle(root: Path, day: int, *, awaits_traffic: bool = False) -> Path:
    until = f"2025-03-{day:02}T12:00:00+00:00"
    manifest = DRAFT.model_copy(update={"until": until, "awaits_traffic": awaits_traffic})
    return write_bundle(root, manifest, files=FILES)


def names(objects: ObjectStore) -> set[str]:
    found = obstore.list(objects)  # pyright: ignore[reportUnknownMemberType] - of Arrow, in another overload
    return {one["path"] for page in found for one in page}


def test_what_is_published_is_fetched_byte_for_byte(storage: BundleStorage, tmp_path: Path) -> None:
    made = bundle(tmp_path / "made", 1)

    published = storage.publish(made)
    fetched = storage.fetch(published, tmp_path / "elsewhere")

    assert published == made.name == fetched.name
    assert read_bundle(fetched) == read_bundle(made)
    assert dict(read_bundle(fetched).files) == FILES
    assert storage.fetch(published, tmp_path / "elsewhere") == fetched
    assert storage.publish(made) == published


def test_the_newest_is_the_last_that_does_not_await_traffic(
    storage: BundleStorage, tmp_path: Path
) -> None:
    with pytest.raises(BundleError, match=r"no bundle in .*bundles push"):
        storage.newest()
    first, second = (storage.publish(bundle(tmp_path, day)) for day in (2, 1))
    waiting = storage.publish(bundle(tmp_path, 3, awaits_traffic=True))

    assert list(storage.manifests()) == [second, first, waiting]
    assert storage.newest() == first


def test_a_half_copied_bundle_is_not_seen(
    storage: BundleStorage, objects: ObjectStore, tmp_path: Path
) -> None:
    published = storage.publish(bundle(tmp_path / "made", 1))
    obstore.delete(objects, f"{published}/{MANIFEST}")

    assert storage.manifests() == {}
    with pytest.raises(BundleError, match=f"bundle {published}: {MANIFEST} is not in "):
        storage.fetch(published, tmp_path / "elsewhere")
    assert not (tmp_path / "elsewhere").exists()

    storage.publish(tmp_path / "made" / published)
    assert list(storage.manifests()) == [published]


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("ranker.txt", b"another", "its files are those of"),
        (MANIFEST, b"{}", f"malformed {MANIFEST}"),
    ],
)
def test_what_was_changed_is_refused_and_leaves_nothing(
    storage: BundleStorage,
    objects: ObjectStore,
    tmp_path: Path,
    file: str,
    content: bytes,
    reason: str,
) -> None:
    published = storage.publish(bundle(tmp_path / "made", 1))
    obstore.put(objects, f"{published}/{file}", content)

    with pytest.raises(BundleError, match=reason):
        storage.fetch(published, tmp_path / "elsewhere")

    assert not list((tmp_path / "elsewhere").glob("*"))


def test_a_manifest_of_another_bundle_is_refused(
    storage: BundleStorage, objects: ObjectStore, tmp_path: Path
) -> None:
    one, two = (storage.publish(bundle(tmp_path, day)) for day in (1, 2))
    obstore.copy(objects, f"{one}/{MANIFEST}", f"{two}/{MANIFEST}")

    assert list(storage.manifests()) == [one]
    with pytest.raises(BundleError, match=f"its content has the id {one}"):
        storage.fetch(two, tmp_path / "elsewhere")


def test_only_the_newest_are_kept_and_those_that_are_named(
    storage: BundleStorage, objects: ObjectStore, tmp_path: Path
) -> None:
    ids = [storage.publish(bundle(tmp_path, day)) for day in (1, 2, 3, 4)]

    removed = storage.keep(1, also=frozenset({ids[1]}))

    assert removed == [ids[0], ids[2]]
    assert list(storage.manifests()) == [ids[1], ids[3]]
    assert names(objects) == {f"{one}/{name}" for one in ids[1::2] for name in (*FILES, MANIFEST)}


@pytest.mark.parametrize("bundle_id", ["../secrets", "", "20250301T120000-000000000000/..", "a"])
def test_what_is_no_id_is_not_asked_for(storage: BundleStorage, bundle_id: str) -> None:
    with pytest.raises(BundleError, match="is no id of a bundle"):
        storage.manifest(bundle_id)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("bundles", "'bundles' is no URL of a bundle storage: give one like s3://"),
        ("ftp://host/bundles", "the bundle storage ftp://host/bundles cannot be opened"),
    ],
)
def test_what_is_no_url_is_refused(wrong: str, reason: str) -> None:
    with pytest.raises(StorageError, match=reason):
        BundleStorage.open(wrong)


def test_a_storage_that_is_gone_is_named(tmp_path: Path) -> None:
    made = bundle(tmp_path, 1)
    with s3_server() as s3:
        storage = BundleStorage.open(s3.url.replace("bundles", "none"))
        with pytest.raises(StorageError, match="in the bundle storage s3://none/shop failed"):
            storage.publish(made)
