"""When the counts of a catalogue are too old to rank by."""

from dataclasses import replace

import numpy as np
import pytest

from app.catalogue.catalogue_version import CatalogueVersion, Source
from models.catalogue.event_counts import SaleCounts
from models.domain.units import DAY_US
from tests.shop import sale, scorer

TRAINED_US = 1_000 * DAY_US


def counts(n_visits: int) -> SaleCounts:
    none = SaleCounts.none(1)
    totals = np.full_like(none.totals, n_visits)
    return replace(none, at_us=TRAINED_US, totals=totals)


def version(*, learned: int, known: int) -> CatalogueVersion:
    trained = replace(scorer(sale("s1")), counts=counts(learned))
    catalogue = trained.seed_catalogue().with_counts(counts(known))
    return CatalogueVersion("", trained.snapshot, catalogue, Source.STORE, trained)


@pytest.mark.parametrize(
    ("days_later", "learned", "known", "stale"),
    [
        (15, 1, 0, True),
        # Counts fade within 14 days: until then the bundle's own events are recent.
        (14, 1, 0, False),
        (15, 1, 1, False),
        # A shop whose model never saw an event lacks nothing.
        (15, 0, 0, False),
    ],
)
def test_counts_are_stale_without_recent_events_but_with_older_ones(
    days_later: int, learned: int, known: int, *, stale: bool
) -> None:
    now_us = TRAINED_US + days_later * DAY_US

    assert version(learned=learned, known=known).has_stale_counts(now_us) is stale
