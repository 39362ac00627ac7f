"""Bundles: immutable directories of model files, verified byte by byte when read."""

import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from models.atomic_file import sync_directory, write_file

FORMAT_VERSION: Final = 2
MANIFEST: Final = "manifest.json"
MAX_FILE_BYTES: Final = 2**31

_FILE_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,99}")


class BundleError(Exception):
    """A bundle that must not be served: the message names the file and the reason."""


class Manifest(BaseModel):
    """What a bundle is and which bytes it consists of.

    Attributes:
        format_version: Version of this format.
        until: End of the data that it knows, ISO 8601 in UTC.
        judged_as: Id of the bundle that was judged in its place: the same meta-model, whose
            recommenders knew less, so that something was left to judge it on. Empty without.
        files: SHA-256 of every file by name, the manifest aside.
        schema_hash: Hash of the feature schema that the ranker was trained on.
        recommenders: Names of the recommenders in feature order.
        scene_model: Hash of the scene labeller that made the picture vectors; empty without.
        config: The run's configuration.
        seed: The run's seed.
        data_fingerprint: Hash of the training data.
        metrics: What was measured, by name.
        versions: Versions of the libraries that the scores depend on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: int
    until: str
    judged_as: str
    files: dict[str, str]
    schema_hash: str
    recommenders: list[str]
    scene_model: str
    config: dict[str, JsonValue]
    seed: int
    data_fingerprint: str
    metrics: dict[str, JsonValue]
    versions: dict[str, str]

    def to_bytes(self) -> bytes:
        """Serialise in the one form that is accepted."""
        return (json.dumps(self.model_dump(), indent=1, sort_keys=True) + "\n").encode()

    @property
    def bundle_id(self) -> str:
        """End of the training data and hash of the content: equal runs have equal ids."""
        digest = sha256(self.to_bytes()).hexdigest()[:12]
        return f"{re.sub('[^0-9T]', '', self.until[:19])}-{digest}"


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


def write_bundle(root: Path, manifest: Manifest, *, files: Mapping[str, bytes]) -> Path:
    """Write a bundle atomically: it is there whole or not at all.

    Args:
        root: Directory of bundles; made if absent.
        manifest: Everything but ``files``, which is computed here.
        files: Content by name.

    Returns:
        The bundle's directory, named by its id. An equal bundle that is there already
        stays as it is.

    Raises:
        ValueError: If a file has a name that a bundle may not hold.
    """
    for name in files:
        if not _FILE_NAME.fullmatch(name) or name == MANIFEST:
            msg = f"{name!r} is no file name for a bundle"
            raise ValueError(msg)
    hashes = {name: sha256(content).hexdigest() for name, content in sorted(files.items())}
    complete = manifest.model_copy(update={"files": hashes})
    target = root / complete.bundle_id
    if target.exists():
        return target
    root.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".staging-", dir=root))
    try:
        for name, content in files.items():
            write_file(staging / name, content)
        write_file(staging / MANIFEST, complete.to_bytes())
        staging.chmod(0o755)
        staging.rename(target)
        sync_directory(root)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return target


def read_bundle(directory: Path) -> Bundle:
    """Read a bundle and verify every byte of it.

    Raises:
        BundleError: If a file is missing, added, changed, a link or too large, or if the
            manifest is not in the form that `write_bundle` gives it.
    """
    manifest = read_manifest(directory)
    present = {path.name for path in directory.iterdir()} - {MANIFEST}
    for name in sorted(present - manifest.files.keys()):
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
    """Read what a bundle says of itself; its files are not looked at.

    Raises:
        BundleError: If it is missing, of another format, or was changed.
    """
    content = _read_file(directory, MANIFEST)
    try:
        manifest = Manifest.model_validate_json(content)
    except (ValidationError, ValueError) as exc:
        msg = f"bundle {directory.name}: malformed {MANIFEST}: {exc}"
        raise BundleError(msg) from exc
    if manifest.format_version != FORMAT_VERSION:
        msg = (
            f"bundle {directory.name}: format version {manifest.format_version}, "
            f"this software reads {FORMAT_VERSION}; train it again"
        )
        raise BundleError(msg)
    if manifest.to_bytes() != content or manifest.bundle_id != directory.resolve().name:
        msg = (
            f"bundle {directory.name}: {MANIFEST} was changed: its content has the id "
            f"{manifest.bundle_id}; copy the bundle again, under its own name"
        )
        raise BundleError(msg)
    return manifest


def _read_file(directory: Path, name: str) -> bytes:
    path = directory / name
    if not _FILE_NAME.fullmatch(name) or path.is_symlink() or not path.is_file():
        msg = f"bundle {directory.name}: {name} is missing or no plain file"
        raise BundleError(msg)
    if path.stat().st_size > MAX_FILE_BYTES:
        msg = f"bundle {directory.name}: {name} is larger than {MAX_FILE_BYTES} bytes"
        raise BundleError(msg)
    return path.read_bytes()


def resolve_bundle(bundle: str | None, root: Path) -> Path:
    """Find a bundle by directory, by id, or the newest one.

    Args:
        bundle: A directory, an id below ``root``, or None for the newest.
        root: Directory of bundles.

    Raises:
        BundleError: If there is none; the message says what to do.
    """
    if bundle is None:
        # Ids start with the end of their training data: the last name is the newest.
        found = sorted(path.parent for path in root.glob(f"[0-9]*/{MANIFEST}"))
        if not found:
            msg = f"no bundle in {root}; make one with: python -m training train --data DIR"
            raise BundleError(msg)
        return found[-1]
    for path in (Path(bundle), root / bundle):
        if (path / MANIFEST).is_file():
            return path
    msg = f"no bundle {bundle!r}: neither a directory with a {MANIFEST} nor an id in {root}"
    raise BundleError(msg)
