"""Bundles of this machine: listed, verified, and loaded as models."""

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from app.catalogue.model import Model
from app.errors import BundleRefusedError, UnknownBundleError
from app.observability import get_logger
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
    read_bundle,
    read_manifest,
    resolve_bundle,
)
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
        verified: Results of verification by path, kept while the files stay as they are.
    """

    root: Path
    first: str | None
    verified: dict[Path, tuple[FileState | None, BundleInfo]] = field(
        default_factory=dict[Path, tuple[FileState | None, BundleInfo]]
    )

    def infos(self) -> list[BundleInfo]:
        """Return every bundle, newest first, those without a readable manifest at the end.

        Every byte is verified, once as long as names, sizes and times of the files stay.
        """
        found = map(self._verified, self._directories())
        return sorted(found, key=lambda one: one.age_order, reverse=True)

    def state(self) -> dict[Path, FileState | None]:
        """Return the state of all files, without reading them; None of an unreadable bundle."""
        return {path: _state(path) for path in self._directories()}

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
        """
        return read_manifest(resolve_bundle(self.first, self.root)).bundle_id

    def require(self, wanted: str) -> None:
        """Verify the bundle that the store wants, or else that of the settings.

        Raises:
            BundleError: If neither is whole, with the reason of the second.
        """
        path = self._paths().get(wanted)
        if path is not None:
            with suppress(BundleError):
                _ = read_bundle(path)
                return
        _ = read_bundle(resolve_bundle(self.first, self.root))

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
            return _load(resolve_bundle(self.first, self.root))
        except (BundleError, SceneModelError) as exc:
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
        raise UnknownBundleError(bundle_id, str(self.root))

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
