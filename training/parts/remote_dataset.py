"""Datasets in an object store: a copy in a folder, in which only what changed is copied again."""

from contextlib import suppress
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

import obstore
from filelock import FileLock
from obstore.exceptions import BaseError
from obstore.store import ObjectStore
from pydantic import TypeAdapter, ValidationError

from models.arrays.atomic_file import atomic_file, write_file
from models.scoring.bundle_storage import StorageError, open_store

if TYPE_CHECKING:
    from obstore import ObjectMeta

MAX_FILES: Final = 100_000
"""Files of a dataset at most, with its pictures."""

_KEPT: TypeAdapter[dict[str, str]] = TypeAdapter(dict[str, str])
_CHUNK_BYTES: Final = 8 * 2**20  # of a file, in memory at a time; chosen
_FILES: Final = "files"
_RECORD: Final = "versions.json"


def local_dataset(address: str, *, cache: Path) -> Path:
    """Return the folder of a dataset; that of a URL once it has the files of the store.

    Args:
        address: A folder, or a URL as ``s3://bucket/shop``; see `BundleStorage.open`.
        cache: Where copies are, a folder a URL.

    Raises:
        StorageError: If the store does not answer, or holds what cannot be a file here.
        OSError: If a file cannot be written.
    """
    if "://" not in address:
        return Path(address)
    store = open_store(address, what="dataset")
    folder = cache / sha256(address.encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        try:
            _copy(store, address, folder)
        except (BaseError, ValueError) as exc:
            reason = str(exc).partition("\n")[0]
            msg = f"the dataset {address} cannot be copied: {reason}"
            raise StorageError(msg) from exc
    return folder / _FILES


def _copy(store: ObjectStore, address: str, folder: Path) -> None:
    versions = _versions(store, address)
    files, record = folder / _FILES, folder / _RECORD
    kept: dict[str, str] = {}
    with suppress(FileNotFoundError, ValidationError):
        kept = _KEPT.validate_json(record.read_bytes())
    kept = {name: version for name, version in kept.items() if versions.get(name) == version}
    files.mkdir(exist_ok=True)
    for path in sorted(files.rglob("*"), reverse=True):
        if path.is_dir():
            with suppress(OSError):  # not empty
                path.rmdir()
        elif path.relative_to(files).as_posix() not in kept:
            path.unlink()
    try:
        for name, version in versions.items():
            if name not in kept or not (files / name).exists():
                _download(store, address, name, version=version, path=files / name)
                kept[name] = version
    finally:
        write_file(record, _KEPT.dump_json(kept))


def _versions(store: ObjectStore, address: str) -> dict[str, str]:
    """Return what tells one content of each file from another, by its name."""
    versions: dict[str, str] = {}
    for batch in obstore.list(store):  # pyright: ignore[reportUnknownMemberType] - of Arrow, in another overload
        for one in batch:
            name = PurePosixPath(one["path"])
            if name.is_absolute() or ".." in name.parts:
                msg = f"the dataset {address} holds {one['path']!r}, which can be no file here"
                raise StorageError(msg)
            versions[str(name)] = _version(one)
        if len(versions) > MAX_FILES:
            msg = f"the dataset {address} holds more than {MAX_FILES:,} files"
            raise StorageError(msg)
    if not versions:
        msg = f"the dataset {address} holds no file"
        raise StorageError(msg)
    return versions


def _version(meta: "ObjectMeta") -> str:
    return f"{meta['e_tag'] or meta['last_modified'].isoformat()} {meta['size']}"


def _download(store: ObjectStore, address: str, name: str, *, version: str, path: Path) -> None:
    got = obstore.get(store, name)
    if _version(got.meta) != version:
        msg = f"the dataset {address} was changed while it was copied: give the command again"
        raise StorageError(msg)
    with atomic_file(path) as file:
        for chunk in got.stream(min_chunk_size=_CHUNK_BYTES):
            file.write(chunk)
