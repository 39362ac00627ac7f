"""Bundles of this machine: listed, verified, and loaded as models; fetched where they are not."""

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from app.catalogue.model import Model
from app.errors import BundleRefusedError, NightsUnreadError, UnknownBundleError
from app.observability import get_logger
from app.settings import Settings
from models.neighbours.search import search_device
from models.pictures.onnx import Provider
from models.pictures.scene_labeller import SceneLabeller, SceneModelError
from models.scoring.bundle import (
    MANIFEST,
    Bundle,
    BundleError,
    Manifest,
    bundle_directories,
    bundle_paths,
    is_bundle_id,
    read_bundle,
    read_manifest,
    resolve_bundle,
)
from models.scoring.bundle_storage import BundleStorage, StorageError
from models.scoring.model_card import ModelCard, read_model_card
from models.scoring.night_record import NightRecords, NightsError
from models.scoring.scorer import LABELS_FILE, SCENES_FILE, Scorer

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class BundleInfo:
    """A bundle of the directory, and why it fails verification; None if it passes.

    Where its manifest cannot be read, its id is the name of its directory.
    """

    bundle_id: str
    manifest: Manifest | None
    fault: str | None

    @classmethod
    def of(cls, path: Path) -> Self:
        """Verify every byte of a bundle."""
        try:
            manifest = read_manifest(path)
        except BundleError as exc:
            return cls(path.resolve().name, None, str(exc))
        try:
            _ = read_bundle(path)
        except BundleError as exc:
            return cls(manifest.bundle_id, manifest, str(exc))
        return cls(manifest.bundle_id, manifest, None)

    @property
    def age_order(self) -> tuple[str, str, str]:
        """See `Manifest.age_order`; before all others without a manifest."""
        return self.manifest.age_order if self.manifest else ("", "", self.bundle_id)


FileState = frozenset[tuple[str, int, int]]
"""Names, sizes and times of change of the files of a bundle. A new right is a change too."""


def _state(path: Path) -> FileState | None:
    try:
        files = [(one.name, one.stat()) for one in path.iterdir()]
    except OSError:
        return None
    return frozenset((name, stat.st_size, stat.st_ctime_ns) for name, stat in files)


@dataclass(frozen=True, slots=True)
class BundleRepository:
    """A directory of bundles, and the bundle of the settings, which may lie elsewhere.

    Methods block.

    Attributes:
        first: Bundle of the settings, served until the store names another: an id, a directory,
            or None for the newest.
        storage: From where bundles are fetched that are asked for by id and are not here, and the
            newest while there is none; None without.
        verified: Results of verification by path, kept while the files stay as they are.
    """

    root: Path
    first: str | None
    storage: BundleStorage | None = None
    verified: dict[Path, tuple[FileState | None, BundleInfo]] = field(
        default_factory=dict[Path, tuple[FileState | None, BundleInfo]]
    )

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Return the repository of the settings.

        Raises:
            StorageError: If the URL of the storage is none.
        """
        url = settings.bundles_from
        storage = None if url is None else BundleStorage.open(url)
        return cls(settings.bundles, settings.bundle, storage)

    def infos(self) -> list[BundleInfo]:
        """Return every bundle, newest first, those without a readable manifest at the end.

        Every byte is verified, once as long as names, sizes and times of the files stay.
        """
        found = map(self._verified, self._directories())
        return sorted(found, key=lambda one: one.age_order, reverse=True)

    def cause(self, bundle_id: str) -> object:
        """Return what decides whether a bundle can be loaded: the same while nothing changed.

        It is the state of all files here, without reading them. Of a bundle that may be fetched it
        is another thing each time, as nothing here tells when a storage answers again.
        """
        directories = self._directories()
        is_here = any(path.name == bundle_id for path in directories)
        if self.storage is not None and not is_here:
            return object()
        return {path: _state(path) for path in directories}

    def whole(self, bundle_id: str) -> Manifest:
        """Return the manifest of a bundle whose every byte is verified, once as in `infos`.

        Raises:
            UnknownBundleError: If this machine has no such bundle.
            BundleRefusedError: If it fails verification, as while it is being copied.
        """
        info = self._verified(self._path(bundle_id))
        if info.manifest is None or info.fault is not None:
            raise BundleRefusedError(bundle_id, info.fault or "")
        return info.manifest

    def manifest(self, bundle_id: str) -> Manifest:
        """Read the manifest of a bundle.

        Raises:
            UnknownBundleError: If this machine has no such bundle.
            BundleRefusedError: If its manifest cannot be read.
        """
        path = self._path(bundle_id)
        try:
            return read_manifest(path)
        except BundleError as exc:
            raise BundleRefusedError(bundle_id, str(exc)) from exc

    def card(self, bundle_id: str) -> ModelCard:
        """Read the model card of a bundle, whose every byte is verified.

        Raises:
            UnknownBundleError: If this machine has no such bundle.
            BundleRefusedError: If it fails verification, or its card cannot be read.
        """
        path = self._path(bundle_id)
        try:
            return read_model_card(read_bundle(path))
        except BundleError as exc:
            raise BundleRefusedError(bundle_id, str(exc)) from exc

    def nights(self) -> NightRecords:
        """Read the records of nights, from the storage where there is one.

        Raises:
            NightsUnreadError: If they cannot be read.
        """
        try:
            return NightRecords.read(self.root) if self.storage is None else self.storage.nights()
        except (NightsError, StorageError) as exc:
            raise NightsUnreadError(str(exc)) from exc

    def load(self, bundle_id: str) -> Model:
        """Read and verify a bundle, and recompute its golden rows.

        Raises:
            UnknownBundleError: If this machine has no such bundle.
            BundleRefusedError: If it fails verification; the message says why.
        """
        path = self._path(bundle_id)
        try:
            return _load(path)
        except (BundleError, SceneModelError) as exc:
            raise BundleRefusedError(bundle_id, str(exc)) from exc

    def first_id(self) -> str:
        """Return the id of the bundle of the settings.

        Raises:
            BundleError: If there is no such bundle.
            StorageError: If it is to be fetched, and the storage does not answer.
        """
        return read_manifest(self._first()).bundle_id

    def require(self, wanted: str) -> None:
        """Verify the bundle that the store wants, or else that of the settings.

        Raises:
            BundleError: If neither is whole, with the reason of the second.
            StorageError: If it is to be fetched, and the storage does not answer.
        """
        if wanted:
            with suppress(BundleError, BundleRefusedError, UnknownBundleError):
                _ = read_bundle(self._path(wanted))
                return
        _ = read_bundle(self._first())

    def load_first(self, wanted: str) -> Model:
        """Load the bundle that the store wants, or else that of the settings.

        Returns:
            The model; if neither can be loaded, one without a scorer that holds the reason.
        """
        if wanted:
            try:
                return self.load(wanted)
            except (UnknownBundleError, BundleRefusedError) as exc:
                _log.error(
                    "the bundle that the store wants is not served", bundle=wanted, reason=str(exc)
                )
        try:
            return _load(self._first())
        except (BundleError, SceneModelError, StorageError) as exc:
            _log.error(
                "no bundle could be loaded: answers are ordered by popularity", reason=str(exc)
            )
            return Model(failure=str(exc))

    def _verified(self, path: Path) -> BundleInfo:
        state = _state(path)
        # A bundle has megabytes to hash, and operators list bundles often.
        verified = self.verified.get(path)
        if verified is None or state is None or verified[0] != state:
            verified = self.verified[path] = state, BundleInfo.of(path)
        return verified[1]

    def _path(self, bundle_id: str) -> Path:
        found = self._paths().get(bundle_id)
        if found is not None:
            return found
        for path in self._directories():
            if path.name == bundle_id:
                return path
        if self.storage is None or not is_bundle_id(bundle_id):
            raise UnknownBundleError(bundle_id, str(self.root))
        return self._fetched(bundle_id, self.storage)

    def _fetched(self, bundle_id: str, storage: BundleStorage) -> Path:
        try:
            path = storage.fetch(bundle_id, self.root)
        except (BundleError, StorageError) as exc:
            raise BundleRefusedError(bundle_id, str(exc)) from exc
        _log.info("bundle fetched", bundle=bundle_id, storage=storage.url)
        return path

    def _first(self) -> Path:
        """Return the bundle of the settings, fetched if it is not here.

        Raises:
            BundleError: If there is no such bundle.
            StorageError: If it is to be fetched, and the storage does not answer.
        """
        try:
            return resolve_bundle(self.first, self.root)
        except BundleError:
            if self.storage is None:
                raise
            wanted = self.first or self.storage.newest()
            return self.storage.fetch(wanted, self.root)

    def _directories(self) -> list[Path]:
        directories = bundle_directories(self.root)
        elsewhere = None if self.first is None else Path(self.first)
        if elsewhere is None or not (elsewhere / MANIFEST).is_file():
            return directories
        is_below = elsewhere.resolve() in {path.resolve() for path in directories}
        return directories if is_below else [*directories, elsewhere]

    def _paths(self) -> dict[str, Path]:
        paths = bundle_paths(self.root)
        if self.first is not None and (Path(self.first) / MANIFEST).is_file():
            with suppress(BundleError):
                paths[read_manifest(Path(self.first)).bundle_id] = Path(self.first)
        return paths


def _load(path: Path) -> Model:
    bundle = read_bundle(path)
    scorer, labeller = Scorer.load(bundle), scene_labeller(bundle)
    _log.info(
        "bundle loaded and verified",
        bundle=scorer.bundle_id,
        neighbours_on=str(search_device()),
    )
    return Model(scorer=scorer, labeller=labeller)


def scene_labeller(bundle: Bundle, *, provider: Provider = Provider.CPU) -> SceneLabeller | None:
    """Open the scene model of a bundle; None where it has none.

    Raises:
        BundleError: If the bundle has the graph without its description.
        SceneModelError: If the two do not fit.
    """
    if SCENES_FILE not in bundle.files:
        return None
    graph, description = bundle.content(SCENES_FILE), bundle.content(LABELS_FILE)
    return SceneLabeller.from_bytes(graph, description, provider=provider)
