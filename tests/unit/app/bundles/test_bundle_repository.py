"""The bundles of a machine: half copies are named, and become usable when they are whole."""

import os
import shutil
from pathlib import Path

import pytest

from app.bundles.bundle_repository import BundleRepository
from app.errors import BundleRefusedError, UnknownBundleError
from models.scoring.bundle import BundleError, write_bundle
from tests.bundles import DRAFT

FILES = {"ranker.txt": b"tree\n", "topics.npz": bytes(range(40))}


def bundle(root: Path, *, until: str = "2025-03-10T12:00:00+00:00") -> Path:
    manifest = DRAFT.model_copy(update={"until": until})
    return write_bundle(root, manifest, files=FILES)


def faults(repository: BundleRepository) -> dict[str, str | None]:
    return {one.bundle_id: one.fault for one in repository.infos()}


def test_a_bundle_is_faulty_until_its_last_byte_is_copied(tmp_path: Path) -> None:
    whole = bundle(tmp_path / "elsewhere")
    repository = BundleRepository(tmp_path / "shelf", None)
    copy = tmp_path / "shelf" / whole.name
    copy.mkdir(parents=True)
    seen = list[str | None]()

    for name in ("manifest.json", "ranker.txt"):
        shutil.copy(whole / name, copy / name)
        seen.append(faults(repository)[whole.name])
    (copy / "topics.npz").write_bytes(FILES["topics.npz"][:-1])
    seen.append(faults(repository)[whole.name])
    shutil.copy(whole / "topics.npz", copy / "topics.npz")

    assert all(seen)
    assert "topics.npz has sha256" in str(seen[-1])
    assert faults(repository) == {whole.name: None}


def test_a_directory_named_like_a_bundle_without_a_manifest_is_listed(tmp_path: Path) -> None:
    whole = bundle(tmp_path)
    empty = tmp_path / "20990101T000000-0123456789ab"
    empty.mkdir()

    listed = BundleRepository(tmp_path, None).infos()

    assert [one.bundle_id for one in listed] == [whole.name, empty.name]
    assert "manifest.json is missing" in str(listed[1].fault)


def test_bundles_are_listed_newest_first(tmp_path: Path) -> None:
    old, new = bundle(tmp_path), bundle(tmp_path, until="2025-03-11T12:00:00+00:00")

    listed = BundleRepository(tmp_path, None).infos()

    assert [one.bundle_id for one in listed] == [new.name, old.name]


def test_what_is_not_changed_is_verified_once(tmp_path: Path) -> None:
    whole = bundle(tmp_path)
    repository = BundleRepository(tmp_path, None)
    _ = repository.infos()
    first = repository.verified[whole]

    _ = repository.infos()

    assert repository.verified[whole] is first


def test_a_change_of_bytes_or_of_rights_shows_without_reading_a_file(tmp_path: Path) -> None:
    whole = bundle(tmp_path)
    repository = BundleRepository(tmp_path, None)
    before = repository.cause("")
    same = repository.cause("")

    (whole / "ranker.txt").chmod(0o600)
    rights = repository.cause("")
    content, times = (whole / "ranker.txt").read_bytes(), (whole / "ranker.txt").stat()
    (whole / "ranker.txt").write_bytes(content[::-1])
    # Copied with its time, as by `rsync -t`.
    os.utime(whole / "ranker.txt", ns=(times.st_atime_ns, times.st_mtime_ns))

    assert same == before
    assert len({str(one) for one in (before, rights, repository.cause(""))}) == 3


def test_a_half_copied_bundle_is_not_whole_and_says_what_it_lacks(tmp_path: Path) -> None:
    half = bundle(tmp_path)
    repository = BundleRepository(tmp_path, None)
    assert repository.whole(half.name).bundle_id == half.name

    (half / "topics.npz").unlink()

    with pytest.raises(BundleRefusedError, match=r"topics\.npz is missing"):
        repository.whole(half.name)
    with pytest.raises(UnknownBundleError):
        repository.whole("another")


def test_a_whole_bundle_that_the_store_wants_is_enough_to_start(tmp_path: Path) -> None:
    wanted = bundle(tmp_path)
    half = bundle(tmp_path, until="2025-03-11T12:00:00+00:00")
    (half / "ranker.txt").unlink()

    BundleRepository(tmp_path, None).require("")
    BundleRepository(tmp_path, half.name).require(wanted.name)
    with pytest.raises(BundleError, match=r"ranker\.txt is missing"):
        BundleRepository(tmp_path, half.name).require("")


def test_a_bundle_named_by_a_directory_elsewhere_has_the_id_of_its_manifest(
    tmp_path: Path,
) -> None:
    mounted = bundle(tmp_path / "elsewhere").rename(tmp_path / "mounted")
    repository = BundleRepository(tmp_path / "none", str(mounted))

    assert [one.bundle_id for one in repository.infos()] == [repository.first_id()]
    assert repository.manifest(repository.first_id()).seed == 7
