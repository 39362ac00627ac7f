"""The list that a customer last chose from, by hand."""

import numpy as np
import pytest

from models.domain.event import EventType
from models.query.query import Batch, CandidateCounts, Query
from tests.builders import SCHEMA, Seen, catalogue, feature, query, sale

SHOWN, VIEW, CLICK, BUY = (
    EventType.IMPRESSION,
    EventType.VIEW,
    EventType.CLICK,
    EventType.PURCHASE,
)
NAMES = ["a", "b", "c", "d"]
SHOP = catalogue(*map(sale, NAMES))

# Shown a, b and c at positions 1, 2 and 3; b was clicked, then c and d were looked at.
LIST: tuple[Seen, ...] = tuple((SHOWN, name, 600.0) for name in "abc")
VISIT: tuple[Seen, ...] = (
    *LIST,
    (VIEW, "c", 900.0),
    (CLICK, "b", 500.0),
    (VIEW, "c", 400.0),
    (VIEW, "d", 300.0),
    (VIEW, "c", 200.0),
)


def values(name: str, *events: Seen) -> list[float]:
    return feature(query(SHOP, *events, candidates=NAMES), name).tolist()


def test_a_sale_of_the_list_stands_above_or_below_the_choice() -> None:
    assert values("last_list_in", *VISIT) == [1, 1, 1, 0]
    below = values("last_list_below", *VISIT)
    assert below == pytest.approx([-1, 0, 1, np.nan], nan_ok=True)
    assert values("shown_position", *VISIT) == pytest.approx([1, 2, 3, np.nan], nan_ok=True)


def test_events_since_the_choice_are_counted_apart() -> None:
    assert values("last_list_since", *VISIT) == [0, 0, 2, 1]


def test_the_usual_position_is_the_mean_of_choices() -> None:
    assert values("last_list_usual", *VISIT, (BUY, "c", 100.0)) == [2.5] * 4


def test_a_list_is_what_was_shown_within_a_minute_of_the_choice() -> None:
    events = (*LIST, (SHOWN, "d", 530.0), (CLICK, "b", 500.0))

    assert values("last_list_in", *events) == [1, 1, 1, 0]
    assert values("last_list_in", *LIST, (SHOWN, "d", 541.0), (CLICK, "b", 500.0)) == [1] * 4


@pytest.mark.parametrize(
    "events",
    [
        (),
        ((CLICK, "a", 60.0),),
        ((SHOWN, "a", 30.0), (CLICK, "a", 60.0)),
        ((SHOWN, "a", 90.0), (VIEW, "a", 60.0)),
    ],
    ids=["no events", "never shown", "shown again since", "only looked at"],
)
def test_without_a_choice_on_record_there_is_no_list(events: tuple[Seen, ...]) -> None:
    for name in ("last_list_in", "last_list_below", "last_list_since", "last_list_usual"):
        assert np.isnan(values(name, *events)).all(), name


def test_a_batch_has_the_values_of_its_queries_alone() -> None:
    names = ("last_list_in", "last_list_below", "last_list_since", "last_list_usual")
    events: list[tuple[Seen, ...]] = [VISIT, (), ((VIEW, "a", 60.0),), (*LIST, (BUY, "a", 9.0))]
    queries: list[Query] = [query(SHOP, *one, candidates=NAMES) for one in events]
    counts = [CandidateCounts.from_query(one) for one in queries]

    together = SCHEMA.assemble_batch(Batch.from_queries(queries, counts))

    columns = [SCHEMA.names.index(name) for name in names]
    alone = [[feature(one, name) for name in names] for one in queries]
    np.testing.assert_array_equal(together[..., columns], np.array(alone).transpose(0, 2, 1))
