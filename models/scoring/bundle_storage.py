"""Bundle storage: bundles in an object store (S3, GCS, Azure) or in a folder, by a URL.

A bundle's files lie below its id. The manifest is written last and removed first, so a bundle
without one is being copied or removed, and is not seen. What is fetched is verified like any bundle
before it appears in the directory of bundles.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self, TypeVar

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore, from_url

from models.domain.errors import UserError
from models.scoring.bundle import (
    MANIFEST,
    MAX_FILE_BYTES,
    BundleError,
    Manifest,
    is_bundle_id,
    parse_manifest,
    read_bundle,
    write_bundle,
)
from models.scoring.night_record import (
    MAX_NIGHTS_BYTES,
    NIGHTS_FILE,
    NightRecords,
    NightsError,
)

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

_T = TypeVar("_T")

MAX_BUNDLES: Final = 1_000
"""Bundles that a storage may hold: each is asked for its manifest."""
# Chosen: a pod that starts waits for its bundle, but a request does not.
_TIMEOUT: Final = timedelta(seconds=60)
_RETRIES: Final = 3
_RETRY_FOR: Final = timedelta(seconds=20)
_MAX_MANIFEST_BYTES: Final = 2**24


class StorageError(UserError):
    """A storage that cannot be used; the message says what was done, and what it answered."""


class _AbsentError(StorageError):
    """An object that is not there."""


def open_store(url: str, *, what: str) -> ObjectStore:
    """Open an object store, or a folder, and ask it nothing yet.

    Args:
        url: See `BundleStorage.open`.
        what: What is kept there, for messages.

    Raises:
        StorageError: If it is no such URL, or a part of the configuration is missing.
    """
    scheme, _, rest = url.partition("://")
    if not rest:
        msg = f"{url!r} is no URL of a {what}: give one like s3://bucket/bundles"
        raise StorageError(msg)
    # An endpoint of one's own network may be without TLS; credentials are signed, not sent.
    client: ClientConfig = {"timeout": _TIMEOUT, "allow_http": True}
    retry: RetryConfig = {"max_retries": _RETRIES, "retry_timeout": _RETRY_FOR}
    try:
        if scheme == "file":
            Path(f"/{rest.lstrip('/')}").mkdir(parents=True, exist_ok=True)
            return from_url(url)
        return from_url(url, client_options=client, retry_config=retry)
    except (BaseError, OSError, ValueError) as exc:
        msg = f"the {what} {url} cannot be opened: {_first_line(exc)}"
        raise StorageError(msg) from exc


@dataclass(frozen=True, slots=True)
class BundleStorage:
    """Bundles below a URL.

    Methods block.

    Attributes:
        url: Where they lie, without credentials.
    """

    url: str
    _store: ObjectStore

    @classmethod
    def open(cls, url: str) -> Self:
        """Open a storage, and ask it nothing yet.

        Args:
            url: As ``s3://bucket/prefix``, ``gs://…``, ``az://…`` or ``file:///folder``.
                Credentials and endpoints come from the environment, as ``AWS_ACCESS_KEY_ID``.

        Raises:
            StorageError: If it is no such URL, or a part of the configuration is missing.
        """
        return cls(url, open_store(url, what="bundle storage"))

    def manifests(self) -> dict[str, Manifest]:
        """Return the manifests of all whole bundles by id, the newest last.

        Those of another format are left out.

        Raises:
            StorageError: If the storage does not answer, or holds more than 1,000 bundles.
        """
        listed = self._done(
            "listing",
            lambda: obstore.list_with_delimiter(self._store),  # pyright: ignore[reportUnknownMemberType] - of Arrow, in another overload
        )
        ids = [name for name in map(_last_part, listed["common_prefixes"]) if is_bundle_id(name)]
        if len(ids) > MAX_BUNDLES:
            msg = f"{self.url} holds {len(ids)} bundles, at most {MAX_BUNDLES}: keep fewer"
            raise StorageError(msg)
        found: dict[str, Manifest] = {}
        for bundle_id in ids:
            with suppress(BundleError):
                found[bundle_id] = self.manifest(bundle_id)
        return dict(sorted(found.items(), key=lambda one: one[1].age_order))

    def newest(self) -> str:
        """Return the id of the newest bundle that does not await traffic.

        Raises:
            BundleError: If there is none.
            StorageError: If the storage does not answer.
        """
        for bundle_id, manifest in reversed(self.manifests().items()):
            if not manifest.awaits_traffic:
                return bundle_id
        msg = f"no bundle in {self.url}; publish one with: python -m training bundles push"
        raise BundleError(msg)

    def manifest(self, bundle_id: str) -> Manifest:
        """Return the manifest of a whole bundle.

        Raises:
            BundleError: If there is none of that id, or it cannot be read.
            StorageError: If the storage does not answer.
        """
        if not is_bundle_id(bundle_id):
            msg = f"{bundle_id!r} is no id of a bundle"
            raise BundleError(msg)
        content = self._read(bundle_id, MANIFEST)
        return parse_manifest(content, name=bundle_id)

    def fetch(self, bundle_id: str, root: Path) -> Path:
        """Copy a bundle below a directory of bundles, whole or not at all.

        Args:
            bundle_id: The bundle.
            root: The directory; made if absent.

        Returns:
            The bundle's directory.

        Raises:
            BundleError: If it is not there, or its files are not those of its manifest.
            StorageError: If the storage does not answer, or the directory cannot be written.
        """
        manifest = self.manifest(bundle_id)
        files = {name: self._read(bundle_id, name) for name in manifest.files}
        try:
            # The id is a hash over all files.
            return write_bundle(root, manifest, files=files, bundle_id=bundle_id)
        except ValueError as exc:
            msg = f"bundle {bundle_id}: {exc}"
            raise BundleError(msg) from exc
        except OSError as exc:
            msg = f"bundle {bundle_id} cannot be written to {root}: {exc.strerror}"
            raise StorageError(msg) from exc

    def publish(self, directory: Path) -> str:
        """Copy a bundle here; it is seen once it is whole.

        Returns:
            Its id. A bundle that is here already is not written again.

        Raises:
            BundleError: If the bundle fails verification.
            StorageError: If the storage does not take it.
        """
        bundle = read_bundle(directory)
        with suppress(BundleError):
            if self.manifest(bundle.id) == bundle.manifest:
                return bundle.id
        # An older copy of another time of creation must not be seen with files of this one.
        self._delete(bundle.id, [MANIFEST])
        for name, content in bundle.files.items():
            self._write(bundle.id, name, content)
        self._write(bundle.id, MANIFEST, bundle.manifest.to_bytes())
        return bundle.id

    def keep(self, n: int, *, also: frozenset[str] = frozenset()) -> list[str]:
        """Remove all whole bundles but the newest.

        Args:
            n: How many stay, at least 1.
            also: Ids that stay as well, as those that answer.

        Returns:
            The ids of those removed.

        Raises:
            StorageError: If the storage does not do it.
        """
        manifests = self.manifests()
        removed = [one for one in list(manifests)[:-n] if one not in also]
        for bundle_id in removed:
            self._delete(bundle_id, [MANIFEST])
            self._delete(bundle_id, list(manifests[bundle_id].files))
        return removed

    def publish_nights(self, content: bytes) -> None:
        """Replace the records of nights here by these.

        Raises:
            StorageError: If the storage does not take them.
        """
        self._done(f"writing {NIGHTS_FILE}", lambda: obstore.put(self._store, NIGHTS_FILE, content))

    def nights(self) -> NightRecords:
        """Return the records of nights here; there are none before the first.

        Raises:
            NightsError: If they cannot be read as such.
            StorageError: If the storage does not answer.
        """
        doing = f"reading {NIGHTS_FILE}"
        try:
            got = self._done(doing, lambda: obstore.get(self._store, NIGHTS_FILE))
        except _AbsentError:
            return NightRecords(items=[])
        name = f"{self.url}/{NIGHTS_FILE}"
        if got.meta["size"] > MAX_NIGHTS_BYTES:
            msg = f"{name} is larger than {MAX_NIGHTS_BYTES} bytes"
            raise NightsError(msg)
        return NightRecords.parse(self._done(doing, lambda: bytes(got.bytes())), name=name)

    def _read(self, bundle_id: str, name: str) -> bytes:
        path = f"{bundle_id}/{name}"
        try:
            got = self._done(f"reading {path}", lambda: obstore.get(self._store, path))
        except _AbsentError as exc:
            msg = f"bundle {bundle_id}: {name} is not in {self.url}"
            raise BundleError(msg) from exc
        most = _MAX_MANIFEST_BYTES if name == MANIFEST else MAX_FILE_BYTES
        if got.meta["size"] > most:
            msg = f"bundle {bundle_id}: {name} is larger than {most} bytes"
            raise BundleError(msg)
        return self._done(f"reading {path}", lambda: bytes(got.bytes()))

    def _write(self, bundle_id: str, name: str, content: bytes) -> None:
        path = f"{bundle_id}/{name}"
        self._done(f"writing {path}", lambda: obstore.put(self._store, path, content))

    def _delete(self, bundle_id: str, names: list[str]) -> None:
        for name in names:
            path = f"{bundle_id}/{name}"
            with suppress(_AbsentError):
                self._done(f"removing {path}", lambda path=path: obstore.delete(self._store, path))

    def _done(self, doing: str, act: Callable[[], _T]) -> _T:
        try:
            return act()
        except (BaseError, OSError, ValueError) as exc:
            msg = f"{doing} in the bundle storage {self.url} failed: {_first_line(exc)}"
            absent = isinstance(exc, FileNotFoundError)
            raise (_AbsentError if absent else StorageError)(msg) from exc


def _last_part(prefix: str) -> str:
    return prefix.rstrip("/").rpartition("/")[2]


def _first_line(exc: Exception) -> str:
    # The rest is the library's own representation, which may quote the configuration.
    return str(exc).partition("\n")[0]
