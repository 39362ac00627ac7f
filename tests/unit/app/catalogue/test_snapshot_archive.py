import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from app.catalogue.catalogue_version import CatalogueVersion, Source
from app.catalogue.snapshot_archive import RETENTION_S, SnapshotArchive, SnapshotPruning
from models.catalogue.snapshot import base_id_from, content_file
from models.domain.units import SECOND_US
from tests.shop import sale, scorer

NOW_S = 1_800_000_000
MANY = [f"s{number}" for number in range(8)]


def served(*sale_ids: str) -> CatalogueVersion:
    model = scorer(*(sale(sale_id, now_us=NOW_S * SECOND_US) for sale_id in sale_ids))
    return CatalogueVersion.from_content(
        model.snapshot, model.seed_catalogue(), source=Source.STORE, scorer=model
    )


def test_a_kept_snapshot_comes_back_under_its_id(tmp_path: Path) -> None:
    first, second = served("s1"), served("s1", "s2")
    SnapshotArchive(tmp_path).remember(second, generation="1", version=2)
    SnapshotArchive(tmp_path).keep(first)

    loaded = SnapshotArchive(tmp_path).load(first.snapshot_id, None)
    latest = SnapshotArchive(tmp_path).last_version(None)

    assert loaded.content.sales == first.content.sales
    assert latest is not None
    assert latest.snapshot_id == second.snapshot_id


@pytest.mark.parametrize(("generation", "stays"), [("1", True), ("2", False)])
def test_of_two_workers_the_one_that_knows_more_of_a_store_is_remembered(
    tmp_path: Path, generation: str, *, stays: bool
) -> None:
    SnapshotArchive(tmp_path).remember(served("s1", "s2"), generation="1", version=9)

    SnapshotArchive(tmp_path).remember(served("s1"), generation=generation, version=8)

    saved = SnapshotArchive(tmp_path).last_sales()
    assert saved is not None
    assert sorted(saved.sales) == (["s1", "s2"] if stays else ["s1"])
    assert saved.version == (9 if stays else 8)


def test_a_pointer_of_another_form_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "latest").write_text("0123.4567 scenes")

    SnapshotArchive(tmp_path).remember(served("s1"), generation="1", version=1)

    assert SnapshotArchive(tmp_path).last_version(None) is not None


def test_a_file_of_other_content_is_refused(tmp_path: Path) -> None:
    archive, first, second = SnapshotArchive(tmp_path), served("s1"), served("s2")
    for one in (first, second):
        archive.keep(one)
    ids = [one.snapshot_id.split(".")[0] for one in (first, second)]
    (tmp_path / f"content-{ids[0]}.npz").replace(tmp_path / f"content-{ids[1]}.npz")

    with pytest.raises(ValueError, match="holds"):
        archive.load(second.snapshot_id, None)


def test_files_unused_for_30_days_are_removed(tmp_path: Path) -> None:
    archive = SnapshotArchive(tmp_path)
    archive.keep(served("s1"))
    for path in tmp_path.glob("*.npz"):
        os.utime(path, (NOW_S, NOW_S))

    kept = archive.prune((NOW_S + RETENTION_S) * SECOND_US)
    removed = archive.prune((NOW_S + RETENTION_S + 1) * SECOND_US)

    assert (kept, removed) == (0, 2)


def test_the_last_catalogue_stays_however_old_its_files_are(tmp_path: Path) -> None:
    SnapshotArchive(tmp_path).remember(served(*MANY), generation="1", version=1)
    SnapshotArchive(tmp_path).keep(served("other"))
    SnapshotArchive(tmp_path).remember(served(*MANY, "new"), generation="1", version=2)
    for path in tmp_path.glob("*.npz"):
        os.utime(path, (NOW_S, NOW_S))

    SnapshotArchive(tmp_path).prune((NOW_S + RETENTION_S + 1) * SECOND_US)

    saved = SnapshotArchive(tmp_path).last_sales()
    assert saved is not None
    assert sorted(saved.sales) == sorted([*MANY, "new"])
    assert len(list(tmp_path.glob("*.npz"))) < 6


def test_a_content_that_differs_little_is_written_upon_an_earlier_one(tmp_path: Path) -> None:
    """What most files hold is one sale, not all that were ever sold."""
    archive = SnapshotArchive(tmp_path)
    whole, other, far = served(*MANY), served(*MANY, "new"), served("s1", "a", "b", "c")

    for one in (whole, other, far):
        archive.keep(one)

    bases = [
        base_id_from((tmp_path / content_file(one.content.id)).read_bytes())
        for one in (whole, other, far)
    ]
    assert bases == [None, whole.content.id, None]
    for one in (whole, other, far):
        loaded = SnapshotArchive(tmp_path).load(one.snapshot_id, None)
        assert loaded.content.sales == one.content.sales


def test_a_base_stays_as_long_as_what_is_written_upon_it(tmp_path: Path) -> None:
    archive, whole, other = SnapshotArchive(tmp_path), served(*MANY), served(*MANY, "new")
    archive.keep(whole)
    archive.keep(other)
    for path in tmp_path.glob("*.npz"):
        os.utime(path, (0, 0))

    SnapshotArchive(tmp_path).keep(other)
    archive.prune((RETENTION_S + 1) * SECOND_US)

    assert archive.load(other.snapshot_id, None).content.sales == other.content.sales


def test_a_content_whose_base_is_gone_is_written_again(tmp_path: Path) -> None:
    archive, whole, other = SnapshotArchive(tmp_path), served(*MANY), served(*MANY, "new")
    archive.keep(whole)
    archive.keep(other)
    (tmp_path / content_file(whole.content.id)).unlink()

    SnapshotArchive(tmp_path).keep(other)

    assert archive.load(other.snapshot_id, None).content.sales == other.content.sales


def test_workers_that_prune_one_directory_at_once_remove_each_file_once(tmp_path: Path) -> None:
    n_files, n_workers = 2_000, 4
    for number in range(n_files):
        path = tmp_path / f"counts-{number}.npz"
        path.touch()
        os.utime(path, (0, 0))
    at_once = Barrier(n_workers)

    def prune() -> int:
        at_once.wait()
        return SnapshotArchive(tmp_path).prune(NOW_S * SECOND_US)

    with ThreadPoolExecutor(n_workers) as pool:
        removed = [one.result() for one in [pool.submit(prune) for _ in range(n_workers)]]

    assert (sum(removed), list(tmp_path.iterdir())) == (n_files, [])


def test_pruning_goes_by_the_clock_of_the_machine_that_dates_the_files(tmp_path: Path) -> None:
    archive = SnapshotArchive(tmp_path)
    archive.keep(served("s1"))
    for path in tmp_path.glob("*.npz"):
        os.utime(path, (NOW_S, NOW_S))

    asyncio.run(SnapshotPruning(archive, lambda: (NOW_S + RETENTION_S) * SECOND_US).prune())
    n_kept = len(list(tmp_path.glob("*.npz")))
    asyncio.run(SnapshotPruning(archive, lambda: (NOW_S + RETENTION_S + 1) * SECOND_US).prune())

    assert (n_kept, list(tmp_path.glob("*.npz"))) == (2, [])
