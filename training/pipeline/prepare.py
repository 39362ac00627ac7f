"""Prepares training data: reads a dataset, trains the scene model, labels the pictures."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from models.dataset.reading import SCENES, Dataset, read_dataset
from models.domain.errors import UserError
from models.domain.event import LAST, MAX_AHEAD_US, from_us, to_us
from models.domain.units import SECOND_US
from models.pictures.scene_labeller import PictureFault, SceneLabeller
from training.configuration import TrainingOptions
from training.console import Progress
from training.pipeline.training_data import SceneFiles, TrainingData, cut
from training.scenes.backbone import efficientnet_backbone
from training.scenes.layout import read_layout
from training.scenes.model import fit_scenes
from training.scenes.picture_scores import score_pictures


class NothingKnownError(UserError):
    """No sale opened or no event was received before the end of the training data."""


class FutureError(UserError):
    """Events later than now."""


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """Options of reading training data.

    Attributes:
        directory: The dataset.
        cache: Directory of picture features, picture scores and scene models.
        until: End of the training data; None for all of it.
        scenes: Labelled pictures, a folder per category; None for ``scenes/`` of the dataset.
        strict: Stop at the first file with faults.
    """

    directory: Path
    cache: Path
    until: datetime | None = None
    scenes: Path | None = None
    strict: bool = False


def prepare(
    data: DataOptions,
    options: TrainingOptions,
    *,
    progress: Progress,
    faults: list[PictureFault] | None = None,
) -> TrainingData:
    """Read a dataset and label its pictures.

    Without labelled pictures to train a scene model on, pictures are not used. ``faults`` collects
    the pictures that could not be read.

    Raises:
        DatasetError: If the dataset cannot be used.
        NothingKnownError: If nothing was received before the end.
        SceneTrainingError: If the scene model cannot be trained.
    """
    dataset = read_dataset(data.directory, strict=data.strict, by_part=options.by_part)
    dataset.require_trainable()
    # The first whole second after the last event was received.
    end_us = (int(dataset.events.received_us.max()) // SECOND_US + 1) * SECOND_US
    until_us = min(end_us, to_us(LAST))
    if data.until is not None:
        until_us = to_us(data.until)
        dataset = cut(dataset, until_us)
        if not (dataset.sales and len(dataset.events)):
            msg = (
                f"{dataset.directory}: before {data.until.isoformat()} {len(dataset.sales)} sales "
                f"opened and {len(dataset.events)} events were received; choose a later "
                "end, or, if sales opened before their events, correct `opens_at`"
            )
            raise NothingKnownError(msg)
    labelled = data.scenes or data.directory / SCENES
    if not labelled.is_dir() or not dataset.images:
        return TrainingData(dataset, until_us, None, {})
    layout, tick = read_layout(labelled), progress.tick
    progress.stage("scenes", len(layout.paths))
    model = fit_scenes(
        layout,
        seed=options.seed,
        cache=data.cache / "features",
        backbone=efficientnet_backbone(options.config.scene_network),
        on_picture=tick,
    )
    # By its content, so that an equal model is saved over itself.
    model_directory = data.cache / "scenes" / model.description.sha256
    model.save(model_directory)
    progress.stage("pictures", len(dataset.pictures))
    pictures = score_pictures(
        dataset.images,
        SceneLabeller.open(model_directory),
        cache=data.cache,
        threads=options.threads,
        faults=faults,
        tick=tick,
    )
    return TrainingData(dataset, until_us, SceneFiles.read(model_directory), pictures)


def require_happened(dataset: Dataset, now_us: int) -> None:
    """Refuse a dataset with events later than now.

    Without ``--until`` a run learns up to the last event. A bundle of a future end would stay
    the newest, and later nights would find no data after its training to compare on.

    Raises:
        FutureError: If an event was received more than 5 minutes after now.
    """
    received_us = dataset.events.received_us
    n_later = int((received_us > now_us + MAX_AHEAD_US).sum())
    if n_later:
        msg = (
            f"{dataset.directory}: {n_later} of {len(received_us)} events are later than now, the "
            f"last at {from_us(int(received_us[-1])).isoformat()}, event "
            f"{dataset.events.event_ids[-1]!r}: correct or remove them, or train with --until"
        )
        raise FutureError(msg)
