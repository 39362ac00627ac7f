"""From a directory to material: reads, cuts, trains the scene head, labels the pictures."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from models.dataset.reading import Dataset, read_dataset
from models.domain.errors import UserError
from models.domain.event import LAST, MAX_AHEAD_US, SECOND_US, from_us, to_us
from models.pictures.scene_labeller import PictureFault, SceneLabeller
from training.pipeline.train import Progress
from training.pipeline.training_data import SceneFiles, TrainingData, cut
from training.scenes.layout import read_layout
from training.scenes.model import fit_scenes
from training.scenes.picture_scores import see_sales

SCENES = "scenes"


class NothingKnownError(UserError):
    """An end of the training data that nothing lies before."""


class FutureError(UserError):
    """Events of a time that has not come."""


@dataclass(frozen=True)
class Prepared:
    """Material, and what was found wrong with the pictures.

    Attributes:
        material: What the run learns from.
        faults: Pictures that could not be read.
    """

    material: TrainingData
    faults: tuple[PictureFault, ...]


def prepare(
    data: Path,
    *,
    until: datetime | None,
    scenes: Path | None,
    cache: Path,
    seed: int,
    strict: bool,
    progress: Progress,
    threads: int = 1,
) -> Prepared:
    """Read a dataset and see its pictures.

    The scene head is trained on ``scenes`` or, if that is None, on the dataset's own
    ``scenes/``; without either, pictures are not used.

    Args:
        data: The dataset's directory.
        until: End of the training data; None for all of it.
        scenes: Labelled pictures: a folder a category.
        cache: Directory of picture features, scores and the scene model.
        seed: Seed of the scene head.
        strict: Stop at the first file with faults.
        progress: Is told what is being done.
        threads: Threads that decode pictures.

    Raises:
        DatasetError: If the dataset cannot be used.
        NothingKnownError: If nothing was received before ``until``.
        SceneTrainingError: If the head cannot be trained.
    """
    dataset = read_dataset(data, strict=strict)
    dataset.require_sales_and_events()
    until_us = _end_us(dataset) if until is None else to_us(until)
    if until is not None:
        dataset = cut(dataset, until_us)
        _require_past(dataset, until)
    labelled = scenes or data / SCENES
    if not labelled.is_dir() or not dataset.images:
        return Prepared(TrainingData(dataset, until_us, None, {}), ())
    model = _scene_model(labelled, cache, seed, progress)
    progress.stage("pictures", len(dataset.pictures))
    labeller = SceneLabeller.open(model)
    pictures, faults = see_sales(
        dataset.images, labeller, cache=cache, threads=threads, tick=progress.tick
    )
    return Prepared(TrainingData(dataset, until_us, SceneFiles.read(model), pictures), faults)


def require_happened(dataset: Dataset, now_us: int) -> None:
    """Refuse events that end the data later than now.

    A training that is told no end learns up to the last event. Of a year that is yet to come,
    its bundle would be the newest for good, and no later night would have anything to judge by.

    Args:
        dataset: What happened.
        now_us: Now, microseconds since the epoch.

    Raises:
        FutureError: If an event was received more than 5 minutes after now.
    """
    received_us = dataset.events.received_us
    n_later = int((received_us > now_us + MAX_AHEAD_US).sum())
    if n_later:
        msg = (
            f"{dataset.directory}: {n_later} of {len(received_us)} events are of a time that has "
            f"not come yet, the last of {from_us(int(received_us[-1])).isoformat()}, event "
            f"{dataset.events.event_ids[-1]!r}: correct them or leave them out, "
            "or train with --until"
        )
        raise FutureError(msg)


def _require_past(dataset: Dataset, until: datetime) -> None:
    if not (dataset.sales and len(dataset.events)):
        msg = (
            f"{dataset.directory}: before {until.isoformat()} {len(dataset.sales)} sales opened "
            f"and {len(dataset.events)} events were received; choose a later end"
        )
        raise NothingKnownError(msg)


def _scene_model(labelled: Path, cache: Path, seed: int, progress: Progress) -> Path:
    pictures = read_layout(labelled)
    progress.stage("scenes", len(pictures.paths))
    model = fit_scenes(pictures, seed=seed, cache=cache / "features", on_picture=progress.tick)
    directory = cache / "scenes" / model.description.sha256
    model.save(directory)
    return directory


def _end_us(dataset: Dataset) -> int:
    """Return the whole second after the last event was received."""
    end_us = (int(dataset.events.received_us.max()) // SECOND_US + 1) * SECOND_US
    return min(end_us, to_us(LAST))
