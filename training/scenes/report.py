"""Scene report: topics, their conversion rates, and the quality of the labeller."""

import io
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.dataset.reading import Dataset
from models.domain.sale import PictureScores
from models.pictures.picture import Frame, decode
from models.pictures.topics import Topics, percentages
from training.report.block import (
    Bar,
    BarPlot,
    Block,
    CountMatrix,
    Heading,
    Line,
    LinePlot,
    Paragraph,
    Picture,
    PictureGrid,
    Table,
)
from training.scenes.conversion import conversions
from training.scenes.metric import label_figures
from training.scenes.model import HeldBack, LabelledFeatures

# Sizes of the page; chosen.
N_EXAMPLES: Final = 6
N_ERRORS: Final = 12
_N_BINS: Final = 10
_N_SHARES: Final = 3
_THUMBNAIL: Final = Frame(160, 1.0)


@dataclass(frozen=True, slots=True)
class SeenSales:
    """The sales of a dataset whose pictures could be read.

    Attributes:
        sale_ids: Their ids.
        titles: What to call them.
        paths: Their pictures.
        shares: Topic shares, shape ``(n, n_topics)``.
    """

    sale_ids: tuple[str, ...]
    titles: tuple[str, ...]
    paths: tuple[Path, ...]
    shares: NDArray[np.float32]


def seen_sales(
    dataset: Dataset, pictures: Mapping[str, PictureScores], *, topics: Topics
) -> SeenSales:
    """Describe the sales with a picture by topics.

    Args:
        dataset: The sales.
        pictures: What their pictures show, by sale id; at least one.
        topics: The topics.
    """
    sales = [sale for sale in dataset.sales if sale.sale_id in pictures]
    probabilities = np.stack([pictures[sale.sale_id].probabilities for sale in sales])
    return SeenSales(
        sale_ids=tuple(sale.sale_id for sale in sales),
        titles=tuple(sale.title or sale.sale_id for sale in sales),
        paths=tuple(next(iter(dataset.images[sale.sale_id].values())) for sale in sales),
        shares=topics.shares(probabilities),
    )


def topic_blocks(dataset: Dataset, seen: SeenSales, *, topics: Topics) -> list[Block]:
    """Show topics with coherence and example pictures, and their conversion by market."""
    first = seen.shares.argmax(axis=1)
    columns: list[int] = first.tolist()
    shown: list[int] = np.flatnonzero(topics.is_shown).tolist()
    pairs = zip(seen.sale_ids, columns, strict=True)
    named = {sale_id: topics.names[topic] for sale_id, topic in pairs if topic in shown}
    n_sales = np.bincount(first, minlength=topics.n_topics)
    coherence = topics.coherence or (math.nan,) * topics.n_topics
    rows = [
        (name, "–" if math.isnan(figure) else f"{figure:.2f}", str(n), f"{share:.0%}")
        for name, figure, n, share in zip(
            topics.names, coherence, n_sales, seen.shares.mean(axis=0), strict=True
        )
    ]
    return [
        Heading("Topics"),
        Paragraph(
            "A topic is a mixture of labels that compete for the same pictures. Coherence is 1 "
            "where its top labels only occur together, 0 where they are independent, -1 where "
            "they never meet; a topic of one label has none. Topics of negative coherence are in "
            "this table alone: answers do not name them. Pictures show their shares of topics."
        ),
        Table("Topics", ("topic", "coherence", "sales", "mean share"), rows),
        *(_examples(topic, seen, topics) for topic in shown),
        Heading("Conversion by topic and market"),
        Paragraph(
            "The share of opened sales that the customer bought; a sale counts for its largest "
            "topic. Lines are 95% intervals (Wilson)."
        ),
        *_conversion_plots(dataset, named),
    ]


def _conversion_plots(dataset: Dataset, named: Mapping[str, str]) -> Iterator[BarPlot]:
    by_market: dict[str, list[Bar]] = {}
    for one in conversions(dataset.events, named):
        name, share = f"{one.topic} (n = {one.share.n})", one.share
        bar = Bar(name, share.value, share.low, share.high)
        by_market.setdefault(one.market, []).append(bar)
    for market, bars in sorted(by_market.items()):
        yield BarPlot(f"Market {market}", bars, percent=True)


def labeller_blocks(data: LabelledFeatures, held_back: HeldBack) -> list[Block]:
    """Evaluate the scene head on labelled pictures that were held back from it."""
    targets = data.targets[held_back.rows]
    figures = label_figures(held_back.probabilities, targets)
    said = held_back.probabilities.argmax(axis=1)
    counts = np.zeros((len(data.labels), len(data.labels)), dtype=np.int64)
    np.add.at(counts, (targets, said), 1)
    rows: list[list[int]] = counts.tolist()
    # The wrong answers that were surest.
    sure = held_back.probabilities.max(axis=1)
    wrong = np.flatnonzero(said != targets)
    worst: list[int] = wrong[np.argsort(-sure[wrong], kind="stable")][:N_ERRORS].tolist()
    errors = [
        Picture(
            thumbnail(data.paths[int(held_back.rows[row])]),
            f"is {data.labels[int(targets[row])]}, said {data.labels[int(said[row])]} "
            f"({sure[row]:.0%})",
        )
        for row in worst
    ]
    return [
        Heading("The labeller on held-back pictures"),
        Paragraph(
            "A head trained like the bundle's on the other labelled pictures, judged on "
            f"pictures that it has not seen: {figures}. Its temperature was fitted to them, which "
            "flatters log loss and calibration error a little."
        ),
        CountMatrix(
            "Confusion: a row is the true label, a column what was said", data.labels, rows
        ),
        LinePlot(
            "Calibration of the most probable label",
            "probability said",
            "share that was right",
            (Line("held-back pictures", calibration_points(held_back.probabilities, targets)),),
        ),
        PictureGrid("Worst errors", errors),
    ]


def calibration_points(
    probabilities: NDArray[np.float32], targets: NDArray[np.int64]
) -> list[tuple[float, float]]:
    """Compare said probabilities with shares that were right, in 10 bins of equal width.

    Args:
        probabilities: Shape ``(n, n_labels)``.
        targets: The true labels, shape ``(n,)``.

    Returns:
        Mean probability of the most probable label and share right, of every bin with a picture.
    """
    said = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == targets
    bins = np.minimum((said * _N_BINS).astype(np.int64), _N_BINS - 1)
    return [
        (float(said[bins == one].mean()), float(right[bins == one].mean()))
        for one in np.unique(bins)
    ]


def _examples(topic: int, seen: SeenSales, topics: Topics) -> PictureGrid:
    shares = seen.shares[:, topic]
    best: list[int] = np.argsort(-shares, kind="stable").tolist()
    # Sales may share a picture; each is shown once, and none that is rather something else.
    chosen: dict[Path, int] = {}
    for row in best:
        if int(seen.shares[row].argmax()) == topic:
            chosen.setdefault(seen.paths[row], row)
    pictures: list[Picture] = []
    for path, row in list(chosen.items())[:N_EXAMPLES]:
        percents: list[int] = percentages(seen.shares[row][None])[0].tolist()
        parts = zip(percents, topics.names, topics.is_shown.tolist(), strict=True)
        shares_of = [(percent, name) for percent, name, is_shown in parts if is_shown]
        named = sorted(shares_of, key=lambda pair: -pair[0])
        shown = ", ".join(f"{name} {percent}%" for percent, name in named[:_N_SHARES] if percent)
        pictures.append(Picture(thumbnail(path), f"{seen.titles[row]} · {shown}"))
    return PictureGrid(topics.names[topic], pictures)


def thumbnail(path: Path) -> bytes:
    """Decode a picture with every check, and write it anew as a small JPEG."""
    # Nothing of the original file reaches the page: pictures come from outside.
    content = io.BytesIO()
    Image.fromarray(decode(path.read_bytes(), _THUMBNAIL)).save(content, "JPEG", quality=75)
    return content.getvalue()
