"""Question of a command: a bundle, a dataset, and the options by which it is judged."""

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from models.dataset.events_by_part import ReadingByPart
from models.dataset.reading import Dataset, read_dataset
from models.domain.errors import reason_for
from models.domain.event import to_us
from models.domain.sale import PictureScores
from models.domain.units import HOUR_US
from models.pictures.scene_labeller import SceneLabeller
from models.scoring.bundle import Bundle, BundleError, read_bundle, resolve_bundle
from training.configuration import RunConfig
from training.console import SCRATCH, Progress, aware, print_left_out
from training.evaluation.evaluate import Question
from training.scenes.picture_scores import permuted, score_pictures


@dataclass(frozen=True, slots=True)
class QuestionOptions:
    """Options of a command that judges a bundle on a dataset.

    Attributes:
        bundles: Directory of bundles, where the bundle is given by its id.
        start: First moment that is judged; None for all.
        max_visits: See `Question`.
        cache: Directory of picture scores, and of the columns of a large log while it is judged.
        seed: See `Question`.
        new_sales_hours: Rank only sales that opened at most so long before; None for all.
        permute_pictures: Seed by which pictures are permuted among the sales; None for not.
    """

    bundles: Path
    start: datetime | None
    max_visits: int
    cache: Path
    seed: int
    new_sales_hours: float | None = None
    permute_pictures: int | None = None


def read_question(
    name: str, data: Path, *, options: QuestionOptions, progress: Progress
) -> tuple[Bundle, Question]:
    """Read a bundle and a dataset, and label its pictures by the bundle's scene model.

    Args:
        name: The bundle's directory or id.
        data: The dataset's directory.
        options: The options.
        progress: Receives the stages.

    Raises:
        BundleError: If the bundle cannot be read, or is one of other software.
        DatasetError: If the dataset cannot be read.
    """
    directory = resolve_bundle(name, options.bundles)
    bundle = read_bundle(directory)
    dataset = read_dataset(data, by_part=ReadingByPart(options.cache / SCRATCH))
    dataset.require_trainable()
    print_left_out(dataset.faults.n_refused())
    config = _config(bundle)
    pictures = _pictures(bundle, directory, dataset, options=options, progress=progress)
    moment, hours = aware(options.start), options.new_sales_hours
    return bundle, Question(
        dataset=dataset,
        pictures=pictures,
        from_us=to_us(moment) if moment else 0,
        learned_until_us=to_us(datetime.fromisoformat(bundle.manifest.until)),
        max_visits=options.max_visits,
        config=config,
        seed=options.seed,
        new_within_us=None if hours is None else round(hours * HOUR_US),
    )


def read_reference(
    name: str, question: Question, *, options: QuestionOptions, progress: Progress
) -> tuple[Bundle, Question]:
    """Read a bundle that another is compared with, and the question as it answers it.

    It sees pictures by its own scene model, and the order of a caller if it was trained so; its
    orders are judged by the outcomes that the other one is judged by.

    Args:
        name: Its directory or id.
        question: Question of the other one.
        options: The options of the question.
        progress: Receives the stages.

    Raises:
        BundleError: If the bundle cannot be read, or is one of other software.
    """
    directory = resolve_bundle(name, options.bundles)
    bundle = read_bundle(directory)
    seen = {"caller_orders": _config(bundle).caller_orders}
    return bundle, replace(
        question,
        pictures=_pictures(bundle, directory, question.dataset, options=options, progress=progress),
        learned_until_us=to_us(datetime.fromisoformat(bundle.manifest.until)),
        config=question.config.model_copy(update=seen),
    )


def _config(bundle: Bundle) -> RunConfig:
    try:
        return RunConfig.model_validate(bundle.manifest.config)
    except ValidationError as exc:
        msg = (
            f"bundle {bundle.id}: configured for other software, train it again: {reason_for(exc)}"
        )
        raise BundleError(msg) from exc


def _pictures(
    bundle: Bundle,
    directory: Path,
    dataset: Dataset,
    *,
    options: QuestionOptions,
    progress: Progress,
) -> dict[str, PictureScores]:
    pictures: dict[str, PictureScores] = {}
    if bundle.manifest.scene_model:
        progress.stage("pictures", len(dataset.pictures))
        labeller = SceneLabeller.open(directory)
        pictures = score_pictures(dataset.images, labeller, cache=options.cache, tick=progress.tick)
    if options.permute_pictures is not None:
        pictures = permuted(pictures, options.permute_pictures)
    return pictures
