"""The bundles that this machine has: what they are, and how one becomes a model."""

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from app.catalogue.model import Model
from app.errors import BundleRefusedError, UnknownBundleError
from app.observability import get_logger
from models.neighbours.search import search_device
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
    """A bundle of the directory.

    Attributes:
        bundle_id: Its id; the name of its directory where its manifest cannot be read.
        manifest: What it is; None if that cannot be read.
        fault: Why it is refused; None if it is whole.
    """

    bundle_id: str
    manifest: Manifest | None
    fault: str | None

    @property
    def age_order(self) -> tuple[str, str, str]:
        """See `Manifest.age_order`; before all others without a manifest."""
        return self.manifest.age_order if self.manifest else ("", "", self.bundle_id)


@dataclass(frozen=True, slots=True)
class BundleRepository:
    """A directory of bundles, and one bundle more that may lie elsewhere. Methods block.

    Attributes:
        root: The directory.
        first: What to serve until the store says: an id, a directory, or None for the newest.
        verified: What was found in directories that did not change since, by path.
    """

    root: Path
    first: str | None
    verified: dict[Path, "_Verified"] = field(default_factory=dict[Path, "_Verified"])

    def shelved(self) -> list[BundleInfo]:
        """Return every bundle, newest first, those without a readable manifest at the end.

        Every byte is verified, once as long as names, sizes and times of the files stay.
        """
        found = [self._shelved(path) for path in self._directories()]
        return sorted(found, key=lambda one: one.age_order, reverse=True)

    def manifest(self, bundle_id: str) -> Manifest:
        """Read what a bundle is.

        Raises:
            UnknownBundleError: If the library has none of that id.
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
            UnknownBundleError: If the library has none of that id.
            BundleRefusedError: If it must not be served; the message says why.
        """
        path = self._path(bundle_id)
        try:
            return _load(path)
        except (BundleError, SceneModelError) as exc:
            raise BundleRefusedError(bundle_id, str(exc)) from exc

    def first_id(self) -> str:
        """Name what is served until the store says.

        Raises:
            BundleError: If there is no such bundle.
        """
        return read_manifest(resolve_bundle(self.first, self.root)).bundle_id

    def require(self, wanted: str) -> None:
        """Verify what the store wants, or else what the settings say; see `load_first`.

        Raises:
            BundleError: If neither can be served, for the reason of the second.
        """
        path = self._paths().get(wanted)
        if path is not None:
            with suppress(BundleError):
                _ = read_bundle(path)
                return
        _ = read_bundle(resolve_bundle(self.first, self.root))

    def load_first(self, wanted: str) -> Model:
        """Load what the store wants, or else what the settings say, or else say why not."""
        if wanted:
            try:
                return self.load(wanted)
            except (UnknownBundleError, BundleRefusedError) as exc:
                _log.error("the wanted bundle is not served", bundle=wanted, reason=str(exc))
        try:
            return _load(resolve_bundle(self.first, self.root))
        except (BundleError, SceneModelError) as exc:
            _log.error("no model: answers are ordered by popularity", reason=str(exc))
            return Model(failure=str(exc))

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

    def _shelved(self, path: Path) -> BundleInfo:
        state, verified = _state_of(path), self.verified.get(path)
        if verified is None or state is None or verified.state != state:
            verified = self.verified[path] = _Verified(state, _verified(path))
        return verified.shelved


_State = frozenset[tuple[str, int, int]]


@dataclass(frozen=True, slots=True)
class _Verified:
    state: _State | None
    shelved: BundleInfo


def _state_of(directory: Path) -> _State | None:
    """Return name, size and time of every file, None where they cannot be read."""
    try:
        found = [(path.name, path.stat()) for path in directory.iterdir()]
    except OSError:
        return None
    return frozenset((name, stat.st_size, stat.st_mtime_ns) for name, stat in found)


def _verified(path: Path) -> BundleInfo:
    try:
        manifest = read_manifest(path)
    except BundleError as exc:
        return BundleInfo(path.resolve().name, None, str(exc))
    try:
        _ = read_bundle(path)
    except BundleError as exc:
        return BundleInfo(manifest.bundle_id, manifest, str(exc))
    return BundleInfo(manifest.bundle_id, manifest, None)


def _load(path: Path) -> Model:
    bundle = read_bundle(path)
    scorer, labeller = Scorer.load(bundle), _labeller(bundle)
    _log.info(
        "bundle loaded and verified",
        bundle=scorer.bundle_id,
        neighbours_on=str(search_device()),
    )
    return Model(scorer=scorer, labeller=labeller)


def _labeller(bundle: Bundle) -> SceneLabeller | None:
    if SCENES_FILE not in bundle.files:
        return None
    return SceneLabeller.from_bytes(bundle.content(SCENES_FILE), bundle.content(LABELS_FILE))
