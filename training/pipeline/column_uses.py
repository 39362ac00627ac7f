"""Column uses: each column that a dataset has, and whether the models of a bundle read it."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np

from models.catalogue.attributes import is_comparable, unused_because
from models.dataset.events import EventTable
from models.dataset.faults import FaultCode
from models.dataset.reading import Dataset
from models.domain.sale import Sale
from models.ranker.objective import TrainingObjective
from models.recommenders.content_encoder import Encoder
from models.recommenders.content_preference import ContentPreference
from models.recommenders.demographic import Demographic
from models.recommenders.text_similarity import TextSimilarity
from models.scoring.scorer import Scorer
from training.configuration import RunConfig
from training.recommenders.attribute_columns import MIN_SHARE
from training.recommenders.content_encoder import MAX_TEXTS

COLUMNS_FILE: Final = "columns.json"


@dataclass(frozen=True, slots=True)
class ColumnUse:
    """Whether models read a column, and what for or why not.

    Attributes:
        table: ``sales``, ``events`` or ``customers``.
        column: Its name.
        used: Whether a feature, a label or the order of the policy `meta` is computed from it.
        why: What it is used for, or why it is not.
    """

    table: str
    column: str
    used: bool
    why: str


_TEXTS: Final = ("title", "description")
_CONTENT: Final = "content that recommenders compare sales by"
_FEATURE: Final = "a feature of the meta-model"
_MATCH: Final = "tastes that the recommender `demographic` expects"
_SIZES: Final = "usual sizes of orders, which the objective `value` orders by"
_AMOUNTS: Final = "read by orders by revenue and margin, evaluation and experiments; no feature"
_OPEN: Final = "when the sale is eligible"
_SALES: Final = {
    "opens_at": (True, "age of the sale, and when it is eligible"),
    "closes_at": (True, "time left, and when the sale is eligible"),
    "sold_out_at": (True, _OPEN),
    "stock": (False, "closes sales in the service; its past is not on record"),
    "destination": (True, _CONTENT),
    "country": (True, _CONTENT),
    "category": (True, _CONTENT),
    "price": (True, "features of prices"),
    "original_price": (True, "features of discounts"),
    "currency": (False, "only checked: amounts have to be in one"),
    "margin": (False, "read by orders by margin, no feature"),
    "markets": (True, "who sees the sale"),
}
_EVENTS: Final = {
    "exposure_id": (True, "what was shown together"),
    "market": (True, "popularity by market, eligible sales"),
    "device": (True, "popularity by device"),
    "session_id": (False, "read by evaluation and experiments; visits are found by their gaps"),
    "quantity": (True, "pieces that were refunded; usual sizes of orders"),
    "propensity": (False, "read by off-policy estimates"),
    "cover": (False, "read by covers, no feature of the ranker"),
    "variant": (False, "no model reads it"),
}


def column_uses(
    dataset: Dataset, scorer: Scorer, *, config: RunConfig, shown: Sequence[Sale]
) -> tuple[ColumnUse, ...]:
    """Return the use of each column that has a value, and of each that could not be read.

    Args:
        dataset: The training data.
        scorer: The model that was trained on it.
        config: How it was trained; its objective is the one that was chosen.
        shown: The sales with an exposure, among which attributes were chosen.
    """
    return (
        *_of_sales(dataset, scorer, shown),
        *_of_events(dataset, config),
        *_of_customers(dataset, scorer),
    )


def uses_to_bytes(uses: tuple[ColumnUse, ...]) -> bytes:
    """Serialise as a JSON list of objects, a file of the bundle."""
    return (json.dumps([asdict(use) for use in uses], indent=1) + "\n").encode()


def _of_sales(dataset: Dataset, scorer: Scorer, shown: Sequence[Sale]) -> Iterator[ColumnUse]:
    compares = any(isinstance(one, TextSimilarity) for one in scorer.schema.recommenders)
    why = "similarity of texts" if compares else "the recommender `text` is left out"
    uses = {**_SALES, **dict.fromkeys(_TEXTS, (compares, why))}
    for name, (used, why) in uses.items():
        values: Iterator[object] = (getattr(sale, name) for sale in dataset.sales)
        if any(value not in (None, "", ()) for value in values):
            yield ColumnUse("sales", name, used, why)
    if dataset.images:
        why = "scene labels, topics and similarity of pictures"
        lacks = "no labelled pictures to train a scene labeller on (`scenes/`)"
        yield ColumnUse(
            "sales", "image", bool(scorer.scene_model), why if scorer.scene_model else lacks
        )
    encoded, features = _encoded(scorer), scorer.schema.attributes.sales.names
    reasons = _reasons(dataset, FaultCode.NOT_LEARNED, FaultCode.UNKNOWN_COLUMN)
    names = {name for sale in dataset.sales for name in sale.attributes}
    for name in sorted(names | reasons.keys() - uses.keys() - {"sale_id", "image"}):
        uses = [_CONTENT] * (name in encoded) + [_FEATURE] * (name in features)
        why = "; ".join(uses) or reasons.get(name) or _unlearned(name, shown)
        yield ColumnUse("sales", name, bool(uses), why)


def _unlearned(name: str, shown: Sequence[Sale]) -> str:
    values = [value for sale in shown if (value := sale.attributes.get(name)) is not None]
    is_text = any(isinstance(value, str) for value in values)
    known = [value for value in values if not isinstance(value, str) or is_comparable(value)]
    why = unused_because(name, n_distinct=len(set(known)), n_values=len(known), is_text=is_text)
    if why is not None:
        return f"among the sales that were shown it {why}"
    return f"no text has a share of {MIN_SHARE:.1%}, or is among the {MAX_TEXTS} most shown"


def _encoded(scorer: Scorer) -> frozenset[str]:
    encoders: list[Encoder] = [
        one.projection.encoder
        for one in scorer.schema.recommenders
        if isinstance(one, ContentPreference)
    ]
    return frozenset(
        name for one in encoders for name in (*one.numbers, *(column for column, _ in one.values))
    )


def _reasons(dataset: Dataset, *codes: FaultCode, table: str = "sales") -> dict[str, str]:
    return {
        fault.column: fault.reason
        for fault in dataset.faults.with_codes(*codes)
        if fault.column is not None and fault.file.startswith(table)
    }


def _of_events(dataset: Dataset, config: RunConfig) -> Iterator[ColumnUse]:
    has, by_caller = _recorded(dataset.events), config.caller_orders
    by_value = config.objective is TrainingObjective.VALUE
    priced = ["prices of the caller's list"] * by_caller + [_SIZES] * by_value
    uses = {
        **_EVENTS,
        "position": (True, "order of the caller" if by_caller else "position effect"),
        "price": (bool(priced), "; ".join(priced) or _AMOUNTS),
        "revenue": (by_value, _SIZES if by_value else _AMOUNTS),
    }
    for name, (used, why) in uses.items():
        if has[name]:
            yield ColumnUse("events", name, used, why)
    for name, why in _reasons(dataset, FaultCode.UNKNOWN_COLUMN, table="events").items():
        yield ColumnUse("events", name, used=False, why=why)


def _recorded(events: EventTable) -> dict[str, bool]:
    texts = {
        "exposure_id": events.exposures,
        "market": events.markets,
        "device": events.devices,
        "session_id": events.sessions,
        "variant": events.variants,
    }
    numbers = {
        "price": events.prices,
        "revenue": events.revenues,
        "propensity": events.propensities,
    }
    return {
        **{name: bool((labels.codes >= 0).any()) for name, labels in texts.items()},
        **{name: not np.isnan(values).all() for name, values in numbers.items()},
        "position": bool(events.positions.any()),
        "cover": bool(events.covers.any()),
        "quantity": bool(events.quantities.any()),
    }


def _of_customers(dataset: Dataset, scorer: Scorer) -> Iterator[ColumnUse]:
    matched = [
        one.encoder.columns.names
        for one in scorer.schema.recommenders
        if isinstance(one, Demographic)
    ]
    features = scorer.schema.attributes.customers.names
    rare = f"no text has a share of {MIN_SHARE:.1%}, or other columns differ more often"
    for name in dataset.customers.columns if dataset.customers else ():
        uses = [_MATCH] * any(name in one for one in matched) + [_FEATURE] * (name in features)
        yield ColumnUse("customers", name, bool(uses), "; ".join(uses) or rare)
    for name, why in _reasons(dataset, FaultCode.NOT_LEARNED, table="customers").items():
        yield ColumnUse("customers", name, used=False, why=why)
