"""Bundles: immutable directories of model files, verified byte by byte when read."""

import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from models.arrays.atomic_file import sync_directory, write_file
from models.domain.errors import UserError, reason_for

# Raised where an older service could not read a bundle, or would score it otherwise.
FORMAT_VERSION: Final = 12
MANIFEST: Final = "manifest.json"
# Chosen: files are read into memory as a whole.
MAX_FILE_BYTES: Final = 2**31

_FILE_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,99}")
# End of the data without punctuation, and 48 bits of the content's hash.
_ID: Final = re.compile(r"[0-9T]+-[0-9a-f]{12}")
# In the root of an ext4 volume. Names with a leading dot are of Kubernetes, rsync and macOS.
_LOST_FOUND: Final = "lost+found"


class BundleError(UserError):
    """A bundle that must not be served: the message names the file and the reason."""


class _Format(BaseModel):
    """What the manifest of every format says."""

    format_version: int


class Manifest(BaseModel):
    """Manifest of a bundle: its content hashes, configuration and metrics.

    Attributes:
        format_version: Version of this format.
        until: End of the training data, ISO 8601 in UTC.
        judged_as: Id of the bundle that was evaluated in its place: the same ranker, with
            recommenders fitted on less data, so that held-out data were left. Empty without.
        awaits_traffic: Whether customers have yet to judge it: it serves if it is named, by a
            promotion or an operator, and never as the newest.
        files: SHA-256 of every file by name, the manifest aside.
        schema_hash: Hash of the feature schema that the ranker was trained on.
        recommenders: Names of the recommenders in feature order.
        left_out: Why the others are not among them, by name.
        part: Name of the only feature that the ranker reads, as it ordered held-out slates better
            than all features together; empty if it reads all.
        scene_model: Hash of the scene labeller that made the picture vectors; empty without.
        config: The run's configuration.
        seed: The run's seed.
        data_fingerprint: Hash of the training data.
        metrics: Figures of the training run, by name.
        versions: Versions of the libraries that the scores depend on.
        created_at: Time of creation, ISO 8601 in UTC; of two bundles with equal ``until`` the later
            is the newer. Not part of the id, as equal runs have equal ids; empty if unknown.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: int
    until: str
    judged_as: str
    awaits_traffic: bool
    files: dict[str, str]
    schema_hash: str
    recommenders: list[str]
    left_out: dict[str, str] = Field(default_factory=dict)
    part: str = ""
    scene_model: str
    config: dict[str, JsonValue]
    seed: int
    data_fingerprint: str
    metrics: dict[str, JsonValue]
    versions: dict[str, str]
    created_at: str = ""

    def to_bytes(self) -> bytes:
        """Serialise in the canonical form, the only one that is accepted."""
        content = self.model_dump()
        if not self.created_at:
            del content["created_at"]
        return (json.dumps(content, indent=1, sort_keys=True) + "\n").encode()

    @property
    def bundle_id(self) -> str:
        """End of the training data and hash of the content: equal runs have equal ids."""
        timeless = self.model_copy(update={"created_at": ""})
        digest = sha256(timeless.to_bytes()).hexdigest()[:12]
        return f"{re.sub('[^0-9T]', '', self.until[:19])}-{digest}"

    @property
    def age_order(self) -> tuple[str, str, str]:
        """Sort key, the newest last: end of the data, then time of creation."""
        return self.until, self.created_at, self.bundle_id


@dataclass(frozen=True)
class Bundle:
    """A verified bundle.

    Attributes:
        manifest: Its manifest.
        files: Content of every file by name: the bytes that were verified.
    """

    manifest: Manifest
    files: Mapping[str, bytes]

    @property
    def id(self) -> str:
        """The bundle's id; see `Manifest.bundle_id`."""
        return self.manifest.bundle_id

    def text(self, name: str) -> str:
        """Return a file as text.

        Raises:
            BundleError: If the file is missing or no UTF-8.
        """
        try:
            return self.content(name).decode()
        except UnicodeDecodeError as exc:
            msg = f"bundle {self.id}: {name} is no UTF-8 text"
            raise BundleError(msg) from exc

    def content(self, name: str) -> bytes:
        """Return the bytes of a file.

        Raises:
            BundleError: If the bundle has no such file.
        """
        if name not in self.files:
            msg = f"bundle {self.id}: {name} is missing"
            raise BundleError(msg)
        return self.files[name]


def is_bundle_id(name: str) -> bool:
    """Return whether a name has the form of a bundle's id."""
    return _ID.fullmatch(name) is not None


def write_bundle(
    root: Path, manifest: Manifest, *, files: Mapping[str, bytes], bundle_id: str = ""
) -> Path:
    """Write a bundle atomically, by renaming a complete staging directory.

    Args:
        root: Directory of bundles; made if absent.
        manifest: Everything but ``files``, which is computed here.
        files: Content by name.
        bundle_id: The id that it must have; empty where it is new.

    Returns:
        The bundle's directory, named by its id. An equal bundle that exists already is
        not written again.

    Raises:
        BundleError: If a directory of that name exists and is not a valid bundle, or if the content
            has another id than it must have.
        OSError: If it cannot be written.
        ValueError: If a file has a name that a bundle may not hold.
    """
    for name in files:
        if not _FILE_NAME.fullmatch(name) or name == MANIFEST:
            msg = f"{name!r} is no file name for a bundle"
            raise ValueError(msg)
    hashes = {name: sha256(content).hexdigest() for name, content in sorted(files.items())}
    complete = manifest.model_copy(update={"files": hashes})
    if bundle_id and complete.bundle_id != bundle_id:
        msg = f"bundle {bundle_id}: its files are those of {complete.bundle_id}; publish it again"
        raise BundleError(msg)
    target = root / complete.bundle_id
    if target.exists():
        _ = read_bundle(target)
        return target
    root.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".staging-", dir=root))
    try:
        for name, content in files.items():
            write_file(staging / name, content)
        write_file(staging / MANIFEST, complete.to_bytes())
        # `mkdtemp` makes directories that only their owner may enter.
        staging.chmod(0o755)
        try:
            staging.rename(target)
        except OSError:
            # Another process may have written the same bundle meanwhile.
            if not target.exists():
                raise
            _ = read_bundle(target)
        sync_directory(root)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return target


def read_bundle(directory: Path) -> Bundle:
    """Read a bundle and verify every byte of it.

    Raises:
        BundleError: If a file is missing, added, changed, too large, unreadable, or a link that
            leads out of the directory, or if the manifest is not in the form that `write_bundle`
            gives it.
    """
    manifest = read_manifest(directory)
    try:
        present = {path.name for path in directory.iterdir()}
    except OSError as exc:
        msg = f"bundle {directory.name} cannot be read: {exc.strerror}"
        raise BundleError(msg) from exc
    for name in sorted(present - manifest.files.keys() - {MANIFEST, _LOST_FOUND}):
        if not name.startswith("."):
            msg = f"bundle {directory.name}: {name} is not in the manifest; remove it"
            raise BundleError(msg)
    files = {name: _read_file(directory, name) for name in manifest.files}
    for name, content in files.items():
        found = sha256(content).hexdigest()
        if found != manifest.files[name]:
            msg = (
                f"bundle {directory.name}: {name} has sha256 {found}, "
                f"its manifest says {manifest.files[name]}; copy the bundle again"
            )
            raise BundleError(msg)
    return Bundle(manifest, files)


def read_manifest(directory: Path) -> Manifest:
    """Read and check the manifest only, not the files.

    The directory may have any name, as where a bundle is mounted at ``/bundle``, but not that
    of another bundle.

    Raises:
        BundleError: If it is missing, of another format, or was changed.
    """
    manifest = parse_manifest(_read_file(directory, MANIFEST), name=directory.name)
    _require_id(manifest, directory.resolve().name)
    return manifest


def parse_manifest(content: bytes, *, name: str) -> Manifest:
    """Check the bytes of a manifest.

    Args:
        content: The bytes.
        name: The bundle's name, which must not be the id of another bundle.

    Raises:
        BundleError: If it is of another format, or was changed.
    """
    try:
        version = _Format.model_validate_json(content).format_version
        # Another format may have other fields.
        manifest = Manifest.model_validate_json(content) if version == FORMAT_VERSION else None
    except (ValidationError, ValueError) as exc:
        msg = f"bundle {name}: malformed {MANIFEST}: {reason_for(exc)}"
        raise BundleError(msg) from exc
    if manifest is None:
        msg = (
            f"bundle {name}: format version {version}, "
            f"this software reads {FORMAT_VERSION}; train it again"
        )
        raise BundleError(msg)
    if manifest.to_bytes() != content:
        raise BundleError(_changed(name, manifest))
    _require_id(manifest, name)
    return manifest


def _require_id(manifest: Manifest, name: str) -> None:
    if is_bundle_id(name) and name != manifest.bundle_id:
        raise BundleError(_changed(name, manifest))


def _changed(name: str, manifest: Manifest) -> str:
    return (
        f"bundle {name}: {MANIFEST} was changed: its content has the id "
        f"{manifest.bundle_id}; copy the bundle again, under its own name"
    )


def _read_file(directory: Path, name: str) -> bytes:
    path = directory / name
    try:
        # Kubernetes mounts files as symbolic links into a sibling directory.
        is_inside = path.resolve().is_relative_to(directory.resolve())
        if not _FILE_NAME.fullmatch(name) or not is_inside or not path.is_file():
            msg = f"bundle {directory.name}: {name} is missing or no plain file"
            raise BundleError(msg)
        if path.stat().st_size > MAX_FILE_BYTES:
            msg = f"bundle {directory.name}: {name} is larger than {MAX_FILE_BYTES} bytes"
            raise BundleError(msg)
        return path.read_bytes()
    except (OSError, RuntimeError) as exc:  # RuntimeError: a loop of symbolic links
        msg = f"bundle {directory.name}: {name} cannot be read: {exc}"
        raise BundleError(msg) from exc


def bundle_directories(root: Path) -> list[Path]:
    """Return the directories below a root that hold a manifest or are named by an id, sorted.

    One that is still being copied is among them; ``lost+found``, names with a dot in front and
    other directories are not. An unreadable root has none.
    """
    try:
        found = sorted(path for path in root.iterdir() if not path.name.startswith("."))
    except OSError:
        return []
    return [path for path in found if _may_be_bundle(path)]


def _may_be_bundle(directory: Path) -> bool:
    try:
        if not directory.is_dir():
            return False
        return is_bundle_id(directory.name) or (directory / MANIFEST).is_file()
    except OSError:  # no permission to enter it
        return False


def bundle_paths(root: Path) -> dict[str, Path]:
    """Return the directories of a root by the ids of their manifests, the newest last.

    Directories whose manifest is refused are left out; a directory that has a bundle's own name
    goes before a copy of it under another name.
    """
    found: dict[Path, Manifest] = {}
    for path in bundle_directories(root):
        with suppress(BundleError):
            found[path] = read_manifest(path)
    by_own_name = sorted(found, key=lambda path: path.name == found[path].bundle_id)
    ordered = sorted(by_own_name, key=lambda path: found[path].age_order)
    return {found[path].bundle_id: path for path in ordered}


def same_ranker(manifest: Manifest, root: Path) -> frozenset[str]:
    """Return the ids under which a bundle's ranker was judged, and published with refits.

    Args:
        manifest: The bundle's.
        root: Directory of bundles, which is searched for refits.
    """
    judged = manifest.judged_as or manifest.bundle_id
    refits = {
        name for name, path in bundle_paths(root).items() if read_manifest(path).judged_as == judged
    }
    return frozenset(refits | {judged, manifest.bundle_id})


def newest_bundle(root: Path) -> Path | None:
    """Return the newest bundle of a root that is whole, None without one; reads all of it.

    The newest is the one whose data end last, and of these the one that was made last. Those that
    await traffic are left out.
    """
    for path in reversed(bundle_paths(root).values()):
        with suppress(BundleError):
            if not read_bundle(path).manifest.awaits_traffic:
                return path
    return None


def resolve_bundle(bundle: str | None, root: Path) -> Path:
    """Find a bundle by directory, by id, or the newest whole one.

    Args:
        bundle: A directory, an id below ``root``, or None for the newest.
        root: Directory of bundles.

    Raises:
        BundleError: If there is none; the message says what to do.
    """
    if bundle is not None:
        for path in (Path(bundle), root / bundle):
            if _may_be_bundle(path):
                return path
        if named := bundle_paths(root).get(bundle):
            return named
        msg = f"no bundle {bundle!r}: neither a directory with a {MANIFEST} nor an id in {root}"
        raise BundleError(msg)
    found = newest_bundle(root)
    if found is not None:
        return found
    awaiting = ""
    for path in reversed(bundle_directories(root)):
        # Raises the reason why it is not valid.
        awaiting = f" but {read_bundle(path).id}, which awaits traffic: name it to serve it"
    msg = f"no bundle in {root}{awaiting}; make one with: python -m training train --data DIR"
    raise BundleError(msg)
