"""Feature table: ``python -m training features``, the documentation of all features."""

import tempfile
from datetime import UTC, datetime
from math import isnan
from pathlib import Path
from typing import Final

import numpy as np
import typer

from models.catalogue.catalogue import build_catalogue
from models.dataset.reading import read_dataset
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
[Where to add](architecture.md#where-to-add) says how a feature is added.
Before the scores of recommenders come up to 20 columns of `sales` and 20 of `customers`, named like
`sale.stars` and `customer.age`, which differ between shops.

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
# Two moments of another hour, day and day of the week: what differs between them is always known.
_MOMENTS: Final = (datetime(2026, 1, 3, 4, tzinfo=UTC), datetime(2026, 2, 5, 9, tzinfo=UTC))


def features_command() -> None:
    """Print docs/features.md: every feature with its meaning."""
    typer.echo(feature_page(), nl=False)


def feature_page() -> str:
    """Describe every feature: name, scope, meaning, and what it is where nothing is known."""
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "sales.csv").write_text(_SALES)
        (Path(directory) / "events.csv").write_text(_EVENTS)
        dataset = read_dataset(Path(directory))
    catalogue = build_catalogue(dataset.sales, {}, topics=Topics.none())
    schema = FeatureSchema(fit_recommenders(Interactions.from_events(dataset.events, catalogue)))
    rows: list[list[float]] = []
    for moment in _MOMENTS:
        # An unknown customer, and a sale without events.
        query = Query(
            window=Window.empty(),
            profile=Profile.empty(),
            catalogue=catalogue,
            context=Context(to_us(moment)),
            rows=np.array([catalogue.row_for("bare")]),
        )
        rows.append(schema.assemble(query)[0].tolist())
    lines = ["| feature | scope | meaning | where nothing is known |", "|---|---|---|---|"]
    for (name, (scope, meaning)), first, second in zip(schema.features.items(), *rows, strict=True):
        if isnan(first):
            value = "unknown"
        elif first != second:
            value = "always known"
        else:
            value = str(int(first)) if first.is_integer() else "the shop's own"
        lines.append(f"| `{name}` | {scope} | {meaning} | {value} |")
    return _HEAD + "\n".join(lines) + "\n"
