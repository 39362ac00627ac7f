"""A shop of four sales, a scorer that orders them by price, and questions about both."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.catalogue.event_counts import SaleCounts
from models.catalogue.snapshot import Snapshot
from models.dataset.faults import FaultReport
from models.dataset.reading import Dataset
from models.domain.sale import Sale
from models.features.schema import FeatureSchema
from models.pictures.topics import Topics
from models.scoring.scorer import Scorer
from tests.builders import Unexplained
from tests.logs import DAY, NOON, Row, event_table, sale
from training.configuration import RunConfig
from training.evaluation.evaluate import Question

SCHEMA: Final = FeatureSchema(())
PRICE: Final = SCHEMA.names.index("sale_price")

SALES: Final = tuple(sale(f"s{number}", price=10.0 * number) for number in (1, 2, 3, 4))


@dataclass(frozen=True)
class PriceRanker(Unexplained):
    """Ranks by price: dear sales first, or cheap ones."""

    dear_first: bool = True

    def probabilities(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the price, or its negative."""
        price = matrix[:, PRICE].astype(np.float64)
        return price if self.dear_first else -price


def price_scorer(*, dear_first: bool = True, known: Sequence[Sale] = SALES) -> Scorer:
    """Return a scorer without recommenders, of a bundle that knows some sales."""
    return Scorer(
        bundle_id="b1",
        scene_model="",
        schema=SCHEMA,
        ranker=PriceRanker(dear_first=dear_first),
        topics=Topics.none(),
        snapshot=Snapshot.from_sales({one.sale_id: one for one in known}, {}),
        counts=SaleCounts.none(0),
    )


def question_on(
    log: Sequence[Row], directory: Path, *, sales: Sequence[Sale] = SALES, start: int = -DAY
) -> Question:
    """Ask about what was shown from ``start`` after noon on; the bundle learned until noon."""
    return Question(
        dataset=Dataset(
            tuple(sales), event_table(log), None, directory, {}, FaultReport.none(), ""
        ),
        pictures={},
        from_us=NOON + start,
        learned_until_us=NOON,
        max_visits=100,
        config=RunConfig(),
        seed=0,
    )


def impressions(at: int, *sale_ids: str, **names: str) -> list[Row]:
    """Return a list that was shown, from position 1 on."""
    return [
        Row(
            kind="impression",
            at=at,
            sale=sale_id,
            position=position,
            customer=names.get("customer", "c1"),
            session=names.get("session"),
            exposure=names.get("exposure"),
        )
        for position, sale_id in enumerate(sale_ids, start=1)
    ]
