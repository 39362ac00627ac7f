"""Bundles: every byte is verified, and nothing stays behind where writing fails."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.scoring.bundle import (
    FORMAT_VERSION,
    MANIFEST,
    Bundle,
    BundleError,
    Manifest,
    bundle_paths,
    read_bundle,
    resolve_bundle,
    write_bundle,
)
from tests.bundles import DRAFT

FILES = {"ranker.txt": b"tree\n", "topics.npz": bytes(range(40)), "empty.npz": b""}
RECORD = DRAFT.model_copy(
    update={
        "config": {"max_trees": 600, "rate": 0.1, "hôtel": None},
        "metrics": {"ndcg_at_10": 1 / 3, "tiny": 5e-324, "n": [1, 2]},
        "versions": {"numpy": "2.2"},
    }
)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_bundle(tmp_path, RECORD, files=FILES)


def test_a_bundle_comes_back_as_it_was_written(bundle: Path) -> None:
    read = read_bundle(bundle)

    assert dict(read.files) == FILES
    assert read.manifest == RECORD.model_copy(update={"files": read.manifest.files})
    assert (read.id, read.text("ranker.txt")) == (bundle.name, "tree\n")


@given(
    st.dictionaries(
        st.text(max_size=5),
        st.floats(allow_nan=False, allow_infinity=False)
        | st.integers()
        | st.text()
        | st.booleans(),
    )
)
def test_any_metric_survives_the_manifest(metrics: dict[str, float | str]) -> None:
    """A number that came back one bit off would refuse the bundle that was just written."""
    content = RECORD.model_copy(update={"metrics": metrics}).to_bytes()

    assert Manifest.model_validate_json(content).to_bytes() == content


def test_ids_are_the_end_of_the_data_and_a_hash_of_the_content(tmp_path: Path) -> None:
    first = write_bundle(tmp_path / "a", RECORD, files=FILES)
    backwards = dict(reversed(list(FILES.items())))
    again = write_bundle(tmp_path / "b", RECORD, files=backwards)
    other = write_bundle(tmp_path / "a", RECORD, files=FILES | {"ranker.txt": b"tree!"})
    seeded = write_bundle(tmp_path / "a", RECORD.model_copy(update={"seed": 8}), files=FILES)

    assert first.name == again.name
    assert first.name.startswith("20250310T120000-")
    assert len({first.name, other.name, seeded.name}) == 3


def test_an_equal_bundle_stays_as_it_is(bundle: Path, tmp_path: Path) -> None:
    before = (bundle / MANIFEST).stat()

    assert write_bundle(tmp_path, RECORD, files=FILES) == bundle
    assert (bundle / MANIFEST).stat().st_mtime_ns == before.st_mtime_ns


@given(st.data())
def test_any_changed_byte_is_found_and_its_file_named(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    bundle = write_bundle(tmp_path_factory.mktemp("bundles"), RECORD, files=FILES)
    name = data.draw(st.sampled_from(["ranker.txt", "topics.npz", MANIFEST]))
    content = bytearray((bundle / name).read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    (bundle / name).write_bytes(content)

    with pytest.raises(BundleError) as caught:
        read_bundle(bundle)

    # A changed version is reported as such, as the operator can act on it.
    assert name in str(caught.value) or "format version" in str(caught.value)


def truncated(bundle: Path) -> None:
    (bundle / "topics.npz").write_bytes(FILES["topics.npz"][:-1])


def extended(bundle: Path) -> None:
    (bundle / "empty.npz").write_bytes(b"\x00")


def missing(bundle: Path) -> None:
    (bundle / "ranker.txt").unlink()


def added(bundle: Path) -> None:
    (bundle / "notes.txt").write_bytes(b"")


def added_directory(bundle: Path) -> None:
    (bundle / "more").mkdir()


def linked(bundle: Path) -> None:
    content = (bundle / "ranker.txt").rename(bundle.parent / "elsewhere")
    (bundle / "ranker.txt").symlink_to(content)


def linked_manifest(bundle: Path) -> None:
    content = (bundle / MANIFEST).rename(bundle.parent / "elsewhere")
    (bundle / MANIFEST).symlink_to(content)


def replaced_by_a_directory(bundle: Path) -> None:
    (bundle / "ranker.txt").unlink()
    (bundle / "ranker.txt").mkdir()


def without_manifest(bundle: Path) -> None:
    (bundle / MANIFEST).unlink()


def reformatted(bundle: Path) -> None:
    """The same content in another form: hashes of the form would say nothing."""
    manifest = Manifest.model_validate_json((bundle / MANIFEST).read_bytes())
    (bundle / MANIFEST).write_text(manifest.model_dump_json())


def enlarged_beyond_any_model(bundle: Path) -> None:
    os.truncate(bundle / "empty.npz", 2**31 + 1)  # sparse: it takes no space


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (truncated, r"topics\.npz has sha256"),
        (extended, r"empty\.npz has sha256"),
        (missing, r"ranker\.txt is missing or no plain file"),
        (added, r"notes\.txt is not in the manifest; remove it"),
        (added_directory, r"more is not in the manifest; remove it"),
        (linked, r"ranker\.txt is missing or no plain file"),
        (linked_manifest, r"manifest\.json is missing or no plain file"),
        (replaced_by_a_directory, r"ranker\.txt is missing or no plain file"),
        (without_manifest, r"manifest\.json is missing or no plain file"),
        (reformatted, r"manifest\.json was changed"),
        (enlarged_beyond_any_model, r"empty\.npz is larger than 2147483648 bytes"),
    ],
)
def test_damage_is_found_and_named(
    bundle: Path, damage: Callable[[Path], None], message: str
) -> None:
    damage(bundle)

    with pytest.raises(BundleError, match=message):
        read_bundle(bundle)


def test_a_renamed_bundle_is_refused(bundle: Path) -> None:
    renamed = bundle.rename(bundle.with_name("20990101T000000-000000000000"))

    with pytest.raises(BundleError, match=f"has the id {bundle.name}"):
        read_bundle(renamed)


def test_a_manifest_may_not_name_files_elsewhere(tmp_path: Path) -> None:
    """The hash holds, since whoever wrote the manifest computed it: the name must not."""
    (tmp_path / "secret").write_bytes(b"")
    manifest = RECORD.model_copy(update={"files": {"../secret": "00"}})
    directory = tmp_path / manifest.bundle_id
    directory.mkdir()
    (directory / MANIFEST).write_bytes(manifest.to_bytes())

    with pytest.raises(BundleError, match=r"\.\./secret is missing or no plain file"):
        read_bundle(directory)


def test_another_format_version_is_told(tmp_path: Path) -> None:
    draft = RECORD.model_copy(update={"format_version": FORMAT_VERSION + 1})
    bundle = write_bundle(tmp_path, draft, files=FILES)

    told = f"format version {FORMAT_VERSION + 1}, this software reads {FORMAT_VERSION}; train"
    with pytest.raises(BundleError, match=told):
        read_bundle(bundle)


def test_another_format_with_other_fields_is_told(bundle: Path) -> None:
    (bundle / MANIFEST).write_bytes(b'{"format_version": 99, "trees": []}')

    with pytest.raises(BundleError, match="format version 99, this software reads"):
        read_bundle(bundle)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format_version": "new"}'])
def test_a_manifest_that_is_none_is_told_on_one_line(bundle: Path, content: bytes) -> None:
    (bundle / MANIFEST).write_bytes(content)

    with pytest.raises(BundleError, match=rf"^bundle {bundle.name}: malformed manifest.json: .+$"):
        read_bundle(bundle)


def test_a_directory_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"bundle absent: manifest\.json is missing"):
        read_bundle(tmp_path / "absent")


@pytest.mark.parametrize(
    "name", ["../a", "a/b", ".hidden", "", "Upper", MANIFEST, "a\n", "a" * 101, "é"]
)
def test_a_file_name_that_a_bundle_may_not_hold_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="no file name for a bundle"):
        write_bundle(tmp_path / "root", RECORD, files={name: b""})

    assert not (tmp_path / "root").exists()


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    """The target is a file, so that the last step, renaming, fails."""
    target = write_bundle(tmp_path / "elsewhere", RECORD, files=FILES).name
    root = tmp_path / "root"
    root.mkdir()
    (root / target).symlink_to(root / "nowhere" / "at-all")

    with pytest.raises(OSError, match=target):
        write_bundle(root, RECORD, files=FILES)

    assert [path.name for path in root.iterdir()] == [target]


def test_what_a_bundle_does_not_hold_is_told(bundle: Path) -> None:
    read = read_bundle(bundle)

    with pytest.raises(BundleError, match=rf"bundle {bundle.name}: scenes\.onnx is missing"):
        read.content("scenes.onnx")
    with pytest.raises(BundleError, match=r"topics\.npz is no UTF-8 text"):
        Bundle(read.manifest, {"topics.npz": b"\xff"}).text("topics.npz")


def test_a_bundle_is_found_by_directory_by_id_or_as_the_newest(tmp_path: Path) -> None:
    later = RECORD.model_copy(update={"until": "2025-03-11T00:00:00+00:00"})
    new = write_bundle(tmp_path, later, files=FILES)
    old = write_bundle(tmp_path, RECORD, files=FILES)

    assert resolve_bundle(None, tmp_path) == new
    assert resolve_bundle(old.name, tmp_path) == old
    assert resolve_bundle(str(old), tmp_path / "elsewhere") == old


def test_what_a_killed_writer_left_is_not_the_newest(bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(bundle, tmp_path / ".staging-x")
    shutil.copytree(bundle, tmp_path / "backup")

    assert resolve_bundle(None, tmp_path) == bundle


def test_of_two_bundles_that_end_at_one_time_the_later_made_is_the_newest(tmp_path: Path) -> None:
    """Which of two hashes is larger says nothing of which training came later."""
    for seed in range(6):
        made = {"seed": seed, "created_at": f"2025-03-12T0{seed}:00:00.000000+00:00"}
        newest = write_bundle(tmp_path, RECORD.model_copy(update=made), files=FILES)

        assert resolve_bundle(None, tmp_path) == newest


def test_when_a_bundle_was_made_is_no_part_of_its_id(bundle: Path, tmp_path: Path) -> None:
    later = RECORD.model_copy(update={"created_at": "2025-03-12T00:00:00.000000+00:00"})

    made = write_bundle(tmp_path / "again", later, files=FILES)

    assert made.name == bundle.name
    assert read_bundle(made).manifest.created_at == later.created_at


@pytest.mark.parametrize("damage", [truncated, missing, without_manifest])
def test_the_newest_bundle_is_one_that_is_whole(
    damage: Callable[[Path], None], bundle: Path, tmp_path: Path
) -> None:
    later = RECORD.model_copy(update={"until": "2025-03-11T00:00:00+00:00"})
    half = write_bundle(tmp_path, later, files=FILES)
    damage(half)

    assert resolve_bundle(None, tmp_path) == bundle


def test_a_bundle_that_awaits_traffic_serves_only_by_its_name(bundle: Path, tmp_path: Path) -> None:
    """Also where no other is whole, or newer."""
    later = {"until": "2025-03-11T00:00:00+00:00", "awaits_traffic": True}
    awaiting = write_bundle(tmp_path, RECORD.model_copy(update=later), files=FILES)

    assert resolve_bundle(None, tmp_path) == bundle
    assert resolve_bundle(awaiting.name, tmp_path) == awaiting
    truncated(bundle)
    with pytest.raises(BundleError, match=r"topics\.npz has sha256"):
        resolve_bundle(None, tmp_path)
    shutil.rmtree(bundle)
    with pytest.raises(BundleError, match=f"no bundle in .* but {awaiting.name}, which awaits"):
        resolve_bundle(None, tmp_path)


def test_where_no_bundle_is_whole_the_fault_of_the_newest_is_told(
    bundle: Path, tmp_path: Path
) -> None:
    truncated(bundle)

    with pytest.raises(BundleError, match=r"topics\.npz has sha256"):
        resolve_bundle(None, tmp_path)


def test_an_equal_bundle_that_is_half_there_is_not_taken_for_it(
    bundle: Path, tmp_path: Path
) -> None:
    missing(bundle)

    with pytest.raises(BundleError, match=r"ranker\.txt is missing"):
        write_bundle(tmp_path, RECORD, files=FILES)


def test_a_bundle_mounted_under_a_name_of_no_bundle_has_the_id_of_its_manifest(
    bundle: Path, tmp_path: Path
) -> None:
    mounted = bundle.rename(tmp_path / "bundle")

    assert read_bundle(mounted).id == bundle.name
    assert bundle_paths(tmp_path) == {bundle.name: mounted}
    assert resolve_bundle(bundle.name, tmp_path) == mounted
    assert resolve_bundle(None, tmp_path) == mounted


def test_a_bundle_goes_before_its_copy_under_another_name(bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(bundle, tmp_path / "a-copy")
    shutil.copytree(bundle, tmp_path / "~copy")

    assert bundle_paths(tmp_path) == {bundle.name: bundle}


def as_kubernetes_mounts(bundle: Path) -> None:
    """Files of a volume are links to links, which change at once when the volume does."""
    content = bundle / "..2025_03_12_10_00_00.123"
    names = [path.name for path in bundle.iterdir()]
    content.mkdir()
    (bundle / "..data").symlink_to(content.name)
    for name in names:
        (bundle / name).rename(content / name)
        (bundle / name).symlink_to(f"..data/{name}")


def as_a_root_of_a_volume(bundle: Path) -> None:
    (bundle / "lost+found").mkdir()
    (bundle / ".DS_Store").write_bytes(b"")
    (bundle / ".ranker.txt.Xq3f").write_bytes(b"tr")  # rsync's, while it copies


@pytest.mark.parametrize("put", [as_kubernetes_mounts, as_a_root_of_a_volume])
def test_what_volumes_put_into_a_bundle_is_not_of_it(
    put: Callable[[Path], None], bundle: Path
) -> None:
    put(bundle)

    assert dict(read_bundle(bundle).files) == FILES


def test_a_link_to_a_bundle_is_the_bundle(bundle: Path, tmp_path: Path) -> None:
    """As git-sync switches from one checkout to the next."""
    content = bundle.rename(tmp_path / ".worktree-5f3a")
    (tmp_path / "current").symlink_to(content.name)

    assert bundle_paths(tmp_path) == {bundle.name: tmp_path / "current"}


def test_what_stands_beside_bundles_is_none(bundle: Path, tmp_path: Path) -> None:
    for name in ("lost+found", ".snapshot", "tmp.ab12", "models"):
        (tmp_path / name).mkdir()
    (tmp_path / ".DS_Store").write_bytes(b"")
    (tmp_path / "current").symlink_to("nowhere")

    assert bundle_paths(tmp_path) == {bundle.name: bundle}
    assert resolve_bundle(None, tmp_path) == bundle


def test_where_there_is_no_bundle_the_message_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"make one with: python -m training train --data DIR"):
        resolve_bundle(None, tmp_path)
    with pytest.raises(BundleError, match="no bundle '2025': neither a directory"):
        resolve_bundle("2025", tmp_path)
