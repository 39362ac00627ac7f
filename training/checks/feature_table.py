"""Feature table: ``python -m training features``, the documentation of all features."""

import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
import typer
from numpy.typing import NDArray

from models.catalogue.catalogue import Catalogue, build_catalogue
from models.dataset.reading import Dataset, read_dataset
from models.domain.customer import Window
from models.domain.event import to_us
from models.domain.profile import Profile
from models.features.schema import FeatureSchema
from models.pictures.topics import Topics
from models.query.query import Context, Query
from training.examples.refit import fit_recommenders
from training.recommenders.interactions import Interactions

_HEAD: Final = """\
# Features

Features of the meta-model, in the order of its columns. This page is written from the code by
`make features`, and a test compares them. `models` computes all of them, in training and in
serving. The last column is the value for an unknown customer and a sale without events: trees
treat `unknown` (NaN) as a case of its own, and `the shop's own` is a rate fitted on all sales.

"""
_SALES: Final = """sale_id,opens_at
seen,2026-01-01T00:00:00Z
bare,2026-01-01T00:00:00Z
"""
_EVENTS: Final = """event_id,customer_id,sale_id,type,at
e1,c1,seen,impression,2026-01-02T00:00:00Z
e2,c2,seen,impression,2026-01-02T00:00:00Z
e3,c3,seen,impression,2026-01-02T00:00:00Z
e4,c1,seen,click,2026-01-02T00:00:01Z
e5,c2,seen,click,2026-01-02T00:00:01Z
e6,c1,seen,purchase,2026-01-02T00:00:02Z
"""
# Two moments of another hour, day and day of the week.
_MOMENTS: Final = (datetime(2026, 1, 3, 4, tzinfo=UTC), datetime(2026, 2, 5, 9, tzinfo=UTC))


def features_command() -> None:
    """Print docs/features.md: every feature with its meaning."""
    typer.echo(feature_page(), nl=False)


def feature_page() -> str:
    """Describe every feature: name, scope, meaning, and what it is where nothing is known."""
    with tempfile.TemporaryDirectory() as directory:
        dataset = _dataset(Path(directory))
    catalogue = build_catalogue(dataset.sales, {}, topics=Topics.none())
    schema = FeatureSchema(fit_recommenders(Interactions.from_events(dataset.events, catalogue)))
    first, second = (schema.assemble(_question(catalogue, to_us(moment)))[0] for moment in _MOMENTS)
    return _HEAD + "\n".join(_lines(schema, first, second)) + "\n"


def _dataset(directory: Path) -> Dataset:
    (directory / "sales.csv").write_text(_SALES)
    (directory / "events.csv").write_text(_EVENTS)
    return read_dataset(directory)


def _question(catalogue: Catalogue, now_us: int) -> Query:
    """Return the features of an unknown customer and a sale without events."""
    return Query(
        window=Window.empty(),
        profile=Profile.empty(),
        catalogue=catalogue,
        context=Context(now_us),
        rows=np.array([catalogue.row_for("bare")]),
    )


def _lines(
    schema: FeatureSchema, first: NDArray[np.float32], second: NDArray[np.float32]
) -> Iterator[str]:
    yield "| feature | scope | meaning | where nothing is known |"
    yield "|---|---|---|---|"
    for column, (name, (scope, meaning)) in enumerate(schema.features.items()):
        value = _unknown(float(first[column]), float(second[column]))
        yield f"| `{name}` | {scope} | {meaning} | {value} |"


def _unknown(first: float, second: float) -> str:
    if np.isnan(first):
        return "unknown"
    if first != second:
        return "always known"
    return str(int(first)) if first.is_integer() else "the shop's own"
