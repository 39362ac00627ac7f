"""The feature matrix: its columns, its hash, and rows that do not know of each other."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
import pytest
from numpy.typing import NDArray

from models.arrays.array_file import Arrays
from models.domain.profile import Profile
from models.features import schema
from models.features.feature import Scope
from models.features.schema import GROUPS, FeatureSchema
from models.query.caller_candidates import CallerCandidates
from models.query.query import Batch, CandidateCounts, Query
from models.recommenders.content_profile import ContentProfile
from models.recommenders.recommender import Recommender
from tests.builders import (
    DAY_US,
    NOW_US,
    POPULARITY,
    SCHEMA,
    browse,
    catalogue,
    crowd,
    feature,
    query,
)


@dataclass(frozen=True)
class RowNumber(Recommender):
    """A recommender made by hand: prefers sales by the number of their row."""

    name: ClassVar[str] = "row_number"
    columns: ClassVar[Mapping[str, str]] = {"row_number": "Row in the catalogue"}

    def shared_scores(self, batch: Batch) -> NDArray[np.float64]:
        return batch.rows[..., None].astype(np.float64)

    def to_arrays(self) -> Mapping[str, NDArray[np.float64]]:
        return {}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        del arrays
        return cls()


class RenamedRowNumber(RowNumber):
    columns: ClassVar[Mapping[str, str]] = {"row": "Row in the catalogue"}


def question(n_sales: int, rng: np.random.Generator) -> Query:
    """A busy customer, and places that learning would give."""
    asked = query(
        crowd(n_sales, rng),
        *browse(60, n_sales, rng=rng),
        profile=Profile(NOW_US - 40 * DAY_US, (9, 8, 7, 6, 5)),
    )
    return replace(
        asked,
        positions=rng.integers(1, 11, size=n_sales),
        caller_list=CallerCandidates.from_rows(asked.catalogue, rng.permutation(n_sales)),
    )


def of_rows(asked: Query, chosen: NDArray[np.int64]) -> Query:
    """The same question about some of its candidates, in the order chosen."""
    assert asked.positions is not None
    return replace(
        asked,
        rows=asked.rows[chosen],
        positions=asked.positions[chosen],
    )


def test_every_column_has_a_name_of_its_own() -> None:
    widths = [len(group.features) for group in GROUPS]
    widths += [len(recommender.columns) for recommender in SCHEMA.recommenders]

    assert len(set(SCHEMA.names)) == len(SCHEMA.names) == sum(widths)
    assert all(meaning for _, meaning in SCHEMA.features.values())


def test_plain_features_come_first_and_recommenders_in_their_order() -> None:
    scopes = [scope for scope, _ in SCHEMA.features.values()]
    n_plain = sum(len(group.features) for group in GROUPS)

    assert Scope.RECOMMENDER not in scopes[:n_plain]
    assert SCHEMA.names[n_plain] == "popularity"
    assert SCHEMA.features["content"][0] is Scope.RECOMMENDER


def test_only_places_may_only_lower_a_probability() -> None:
    assert SCHEMA.decreasing == {"position", "list_rank"}


def test_another_list_of_recommenders_has_another_hash() -> None:
    schemas = [
        FeatureSchema(()),
        FeatureSchema((POPULARITY, ContentProfile())),
        FeatureSchema((ContentProfile(), POPULARITY)),
        FeatureSchema((POPULARITY, RowNumber())),
        FeatureSchema((POPULARITY, RenamedRowNumber())),
    ]

    assert len({one.hash for one in schemas}) == len(schemas)


def test_priors_of_a_recommender_are_not_part_of_the_schema() -> None:
    """They are fitted anew every night: the bundle carries them, and golden rows check them."""
    other = replace(POPULARITY, click_rate=0.5)

    assert FeatureSchema((other,)).hash == FeatureSchema((POPULARITY,)).hash


@pytest.mark.parametrize(
    ("constant", "value"),
    [
        ("WINDOW_EVENTS", 64),
        ("HALF_LIVES_S", (1_800.0, 1_209_601.0)),
        ("INTEREST", np.array([0.0, 1.0, 1.0, 2.0, 4.0])),
        ("EVIDENCE", 1.0),
        ("N_NEIGHBOURS", 21),
        ("GRID_US", 1_000_000),
        ("RETENTION_HOURS", 168),
    ],
)
def test_another_constant_has_another_hash(
    monkeypatch: pytest.MonkeyPatch, constant: str, value: object
) -> None:
    """A bundle trained with another half-life has equal names and other meanings."""
    before = SCHEMA.hash
    monkeypatch.setattr(schema, constant, value)

    assert SCHEMA.hash != before


@pytest.mark.parametrize("n_sales", [7, 64, 300])
def test_a_row_depends_on_its_own_sale_only(n_sales: int, rng: np.random.Generator) -> None:
    """Candidates may come in any order and company: the bits of a row stay."""
    asked = question(n_sales, rng)
    matrix = SCHEMA.assemble(asked)

    chosen = [rng.permutation(n_sales), rng.permutation(n_sales)[: n_sales // 2]]
    chosen += [np.array([row]) for row in range(min(n_sales, 40))]
    chosen.append(np.array([3, 3, 1]))

    for rows in chosen:
        assert SCHEMA.assemble(of_rows(asked, rows)).tobytes() == matrix[rows].tobytes()


def test_queries_together_have_the_bits_of_each_alone(rng: np.random.Generator) -> None:
    """Customers who did nothing, little and much; some with a list of their own."""
    of = crowd(50, rng)
    queries = [
        replace(
            query(of, *browse(n_events, 50, rng=rng)),
            rows=rng.permutation(50)[:9],
            caller_list=CallerCandidates.from_rows(of, np.arange(50)) if n_events % 2 else None,
        )
        for n_events in (0, 1, 7, 30, 8, 0, 128)
    ]

    together = SCHEMA.assemble_batch(
        Batch.from_queries(queries, list(map(CandidateCounts.from_query, queries)))
    )

    for matrix, one in zip(together, queries, strict=True):
        assert matrix.tobytes() == SCHEMA.assemble(one).tobytes()


def test_the_matrix_is_contiguous_float32_without_infinities(rng: np.random.Generator) -> None:
    matrix = SCHEMA.assemble(question(40, rng))

    assert (matrix.dtype, matrix.shape) == (np.float32, (40, len(SCHEMA.names)))
    assert matrix.flags.c_contiguous
    assert not np.isinf(matrix).any()


def test_the_same_question_has_the_same_bits(rng: np.random.Generator) -> None:
    asked = question(40, rng)

    assert SCHEMA.assemble(asked).tobytes() == SCHEMA.assemble(replace(asked)).tobytes()


def test_a_customer_known_by_nothing_gets_a_row_for_every_sale(rng: np.random.Generator) -> None:
    asked = query(crowd(20, rng))

    assert not np.isnan(feature(asked, "popularity")).any()
    assert np.isnan(feature(asked, "customer_recency")).all()


@pytest.mark.parametrize("n_sales", [0, 5])
def test_no_candidates_make_no_rows(n_sales: int, rng: np.random.Generator) -> None:
    of = crowd(n_sales, rng) if n_sales else catalogue()
    asked = query(of, *browse(10, n_sales, rng=rng), candidates=[])

    assert SCHEMA.assemble(asked).shape == (0, len(SCHEMA.names))


def test_a_recommender_made_by_hand_is_a_feature(rng: np.random.Generator) -> None:
    own = FeatureSchema((RowNumber(),))

    assert own.assemble(query(crowd(4, rng)))[:, -1].tolist() == [0.0, 1.0, 2.0, 3.0]
    assert own.names[-1] == "row_number"
