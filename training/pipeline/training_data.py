"""Training data: a dataset up to a given time, its scene model, and its picture scores."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from models.dataset.reading import Dataset
from models.domain.event import to_us
from models.domain.sale import PictureScores
from models.pictures.scene_labeller import DESCRIPTION_FILE, GRAPH_FILE, SceneLabeller


@dataclass(frozen=True)
class SceneFiles:
    """A scene model as it goes into a bundle.

    Attributes:
        scene_model: Its id: the SHA-256 of its graph.
        labels: Names of its labels.
        files: Its files by name.
    """

    scene_model: str
    labels: tuple[str, ...]
    files: Mapping[str, bytes]

    @classmethod
    def read(cls, directory: Path) -> Self:
        """Read the files of a saved scene model.

        Raises:
            SceneModelError: If the directory holds none.
        """
        description = SceneLabeller.open(directory).description
        files = {name: (directory / name).read_bytes() for name in (GRAPH_FILE, DESCRIPTION_FILE)}
        return cls(description.sha256, description.labels, files)


@dataclass(frozen=True)
class TrainingData:
    """Training data of a run.

    Attributes:
        dataset: The dataset, cut at ``until_us``.
        until_us: End of the training data, microseconds since the epoch.
        scenes: The scene model, None where nothing labels pictures.
        pictures: Scores of the sales' pictures, by sale id.
    """

    dataset: Dataset
    until_us: int
    scenes: SceneFiles | None
    pictures: Mapping[str, PictureScores]


def cut(dataset: Dataset, until_us: int) -> Dataset:
    """Return the state of a dataset at a moment: events received and sales opened before it.

    ``sold_out_at`` is kept only if it lies before the moment. The stock is dropped with it: a
    dataset holds only the last known stock.
    """
    opened = [sale for sale in dataset.sales if to_us(sale.opens_at) < until_us]
    sales = [
        sale
        if sale.sold_out_at is not None and to_us(sale.sold_out_at) < until_us
        else sale.model_copy(update={"sold_out_at": None, "stock": None})
        for sale in opened
    ]
    known = {sale.sale_id for sale in sales}
    return replace(
        dataset,
        sales=tuple(sales),
        events=dataset.events.select(dataset.events.received_us < until_us),
        images={sale_id: path for sale_id, path in dataset.images.items() if sale_id in known},
    )
