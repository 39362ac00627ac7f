"""The bundles that this machine has: what they are, and how one becomes a model."""

from dataclasses import dataclass
from pathlib import Path

from app.errors import BundleRefusedError, UnknownBundleError
from app.observability import get_logger
from app.serving.model import Model
from models.bundle import (
    MANIFEST,
    Bundle,
    BundleError,
    Manifest,
    read_bundle,
    read_manifest,
    resolve_bundle,
)
from models.neighbours import search_device
from models.scenes import SceneLabeller, SceneModelError
from models.scoring import LABELS_FILE, SCENES_FILE, Scorer

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Shelved:
    """A bundle of the directory.

    Attributes:
        bundle_id: The name of its directory.
        manifest: What it is; None if that cannot be read.
        fault: Why not.
    """

    bundle_id: str
    manifest: Manifest | None
    fault: str | None


@dataclass(frozen=True, slots=True)
class BundleLibrary:
    """A directory of bundles, and one bundle more that may lie elsewhere. Methods block.

    Attributes:
        root: The directory.
        first: What to serve until the store says: an id, a directory, or None for the newest.
    """

    root: Path
    first: str | None

    def shelved(self) -> list[Shelved]:
        """Return every bundle, newest first; only manifests are read."""
        return [_shelved(path) for path in sorted(self._paths().values(), reverse=True)]

    def manifest(self, bundle_id: str) -> Manifest:
        """Read what a bundle is.

        Raises:
            UnknownBundleError: If the library has none of that id.
            BundleRefusedError: If its manifest cannot be read.
        """
        path = self._paths().get(bundle_id)
        if path is None:
            raise UnknownBundleError(bundle_id, str(self.root))
        try:
            return read_manifest(path)
        except (BundleError, OSError) as exc:
            raise BundleRefusedError(bundle_id, str(exc)) from exc

    def load(self, bundle_id: str) -> Model:
        """Read and verify a bundle, and recompute its golden rows.

        Raises:
            UnknownBundleError: If the library has none of that id.
            BundleRefusedError: If it must not be served; the message says why.
        """
        path = self._paths().get(bundle_id)
        if path is None:
            raise UnknownBundleError(bundle_id, str(self.root))
        try:
            return _load(path)
        except (BundleError, OSError, SceneModelError) as exc:
            raise BundleRefusedError(bundle_id, str(exc)) from exc

    def first_id(self) -> str:
        """Name what is served until the store says.

        Raises:
            BundleError: If there is no such bundle.
        """
        return resolve_bundle(self.first, self.root).resolve().name

    def load_first(self, wanted: str) -> Model:
        """Load what the store wants, or else what the settings say, or else say why not."""
        if wanted:
            try:
                return self.load(wanted)
            except (UnknownBundleError, BundleRefusedError) as exc:
                _log.error("the wanted bundle is not served", bundle=wanted, reason=str(exc))
        try:
            return _load(resolve_bundle(self.first, self.root))
        except (BundleError, OSError, SceneModelError) as exc:
            _log.error("no model: answers are ordered by popularity", reason=str(exc))
            return Model(failure=str(exc))

    def _paths(self) -> dict[str, Path]:
        paths = {path.parent.name: path.parent for path in self.root.glob(f"[0-9]*/{MANIFEST}")}
        if self.first is not None and (Path(self.first) / MANIFEST).is_file():
            paths[Path(self.first).resolve().name] = Path(self.first)
        return paths


def _shelved(path: Path) -> Shelved:
    name = path.resolve().name
    try:
        return Shelved(name, read_manifest(path), None)
    except (BundleError, OSError) as exc:
        return Shelved(name, None, str(exc))


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
