"""Small sales, windows, catalogues and scorers, made by hand for tests of the models."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.catalogue.catalogue import Catalogue, build_catalogue
from models.catalogue.event_counts import HALF_LIVES_HOURS, N_KINDS, SaleCounts
from models.catalogue.snapshot import Snapshot
from models.domain.customer import Window, pack_member
from models.domain.event import FAVOURITE, KIND, KINDS, TOUCHES, EventType, from_us, key, to_us
from models.domain.profile import Profile
from models.domain.recent_impressions import RecentImpressions
from models.domain.sale import PictureScores, Sale
from models.domain.units import SECOND_US
from models.features.schema import FeatureSchema
from models.neighbours.search import EMBEDDING_SIZE
from models.pictures.image_statistics import STATISTICS
from models.pictures.topics import Topics
from models.query.query import Context, Query
from models.ranker.linear_offset import LinearOffset
from models.ranker.logistic import LogisticRanker, Scale
from models.ranker.position_effect import PositionEffect
from models.ranker.ranker import Calibration, LightGbmRanker
from models.recommenders.content_profile import ContentProfile
from models.recommenders.image_similarity import ImageSimilarity
from models.recommenders.popularity import Popularity
from models.scoring.scorer import Scorer
from training.configuration import TreeConfig
from training.ranker.fit_offset import position_columns
from training.ranker.fit_trees import fit_trees
from training.ranker.training_rows import TrainingRows

HOUR_US: Final = 3600 * SECOND_US
DAY_US: Final = 24 * HOUR_US

NOW_US: Final = to_us(datetime(2025, 3, 10, 12, tzinfo=UTC))
"""A Monday, noon, on the grid of counters and at a whole hour."""

TOPICS: Final = Topics(np.eye(2), ("ski", "beach"))
"""Two topics that are one label each: topic shares are label probabilities."""

POPULARITY: Final = Popularity(
    click_rate=0.1, purchase_rate=0.2, click_weight=10.0, purchase_weight=5.0
)

SCHEMA: Final = FeatureSchema((POPULARITY, ContentProfile(), ImageSimilarity(POPULARITY)))

Seen = tuple[EventType, str, float]
"""What a customer did: type, sale id, seconds ago."""


def sale(sale_id: str, **fields: object) -> Sale:
    """A sale that opened an hour before `NOW_US` and closes a day after it."""
    hours = {"opens_at": from_us(NOW_US - HOUR_US), "closes_at": from_us(NOW_US + DAY_US)}
    return Sale.model_validate({"sale_id": sale_id, **hours, **fields})


def picture(
    *probabilities: float,
    embedding: Mapping[int, float],
    statistics: tuple[float, float, float, float] = (0.5, 0.0, 0.25, 0.125),
) -> PictureScores:
    """A picture of given label probabilities and non-zero coordinates of its vector."""
    vector = np.zeros(EMBEDDING_SIZE, dtype=np.float32)
    vector[list(embedding)] = list(embedding.values())
    return PictureScores(
        np.array(probabilities, dtype=np.float32), vector, np.array(statistics, dtype=np.float32)
    )


def catalogue(
    *sales: Sale,
    pictures: Mapping[str, PictureScores] | None = None,
    counts: Mapping[str, Mapping[EventType, float]] | None = None,
) -> Catalogue:
    """A catalogue; counts are by sale id and type, the same under every half-life."""
    bare = build_catalogue(sales, pictures or {}, topics=TOPICS)
    totals = np.zeros((len(bare), N_KINDS))
    for sale_id, by_type in (counts or {}).items():
        for event_type, count in by_type.items():
            totals[row(bare, sale_id), KIND[event_type]] = count
    decayed = np.stack([totals] * len(HALF_LIVES_HOURS))
    return bare.with_counts(SaleCounts(NOW_US, totals, decayed))


def row(of: Catalogue, sale_id: str) -> int:
    """The row of a sale that is there."""
    found = of.row_for(sale_id)
    assert found is not None
    return found


def rows(of: Catalogue, *sale_ids: str) -> NDArray[np.int64]:
    """The rows of sales that are there, in the order asked for."""
    return np.array([row(of, sale_id) for sale_id in sale_ids], dtype=np.int64)


def window(*events: Seen) -> Window:
    """The window of a customer who did, or was shown, these things before `NOW_US`."""
    seen = [
        (event_type, key(sale_id), NOW_US - round(age_s * SECOND_US))
        for event_type, sale_id, age_s in events
    ]
    members = [
        pack_member(key(f"event {index}"), sale_key, at_us=at_us, event_type=event_type)
        for index, (event_type, sale_key, at_us) in enumerate(seen)
        if event_type is not EventType.IMPRESSION
    ]
    shown = [one[1:] for one in seen if one[0] is EventType.IMPRESSION]
    keys, at_us = np.array(shown, dtype=np.uint64).reshape(-1, 2).T
    # Of equal age they stood as they are given.
    positions = np.arange(1, len(keys) + 1)
    return Window.from_members(
        members,
        RecentImpressions.from_events(keys, at_us.astype(np.int64), positions=positions),
    )


def query(
    of: Catalogue,
    *events: Seen,
    candidates: Iterable[str] | None = None,
    profile: Profile | None = None,
    context: Context | None = None,
) -> Query:
    """A question about the candidates, or about every sale in row order."""
    return Query(
        window(*events),
        profile or Profile.empty(),
        of,
        context or Context(NOW_US),
        np.arange(len(of)) if candidates is None else rows(of, *candidates),
    )


def crowd(n_sales: int, rng: np.random.Generator) -> Catalogue:
    """A catalogue of many random sales: some without picture, price, category or closing."""
    sales: list[Sale] = []
    pictures: dict[str, PictureScores] = {}
    for index in range(n_sales):
        fields: dict[str, object] = {"category": f"c{index % 5}", "country": f"n{index % 3}"}
        if index % 7:
            fields |= {"price": float(rng.integers(50, 900)), "original_price": 1_000.0}
        if index % 11 == 0:
            fields |= {"closes_at": None, "category": None}
        sales.append(sale(f"s{index}", destination=f"d{index % 13}", **fields))
        if index % 6:
            vector = rng.normal(size=EMBEDDING_SIZE)
            vector /= np.sqrt(np.square(vector).sum())
            probabilities = rng.dirichlet([1.0, 1.0]).astype(np.float32)
            statistics = rng.random(len(STATISTICS), dtype=np.float32)
            pictures[f"s{index}"] = PictureScores(
                probabilities, vector.astype(np.float32), statistics
            )
    bare = build_catalogue(sales, pictures, topics=TOPICS)
    totals = rng.poisson(3.0, size=(n_sales, N_KINDS)).astype(np.float64)
    decayed = np.multiply.outer([0.1, 0.3, 0.8, 0.95], totals)
    return bare.with_counts(SaleCounts(NOW_US, totals, decayed))


def browse(n_events: int, n_sales: int, *, rng: np.random.Generator) -> tuple[Seen, ...]:
    """Random events of one customer with the sales of `crowd`, and with unknown ones."""
    types = [EventType.IMPRESSION, *(KINDS[code] for code in sorted(TOUCHES - {FAVOURITE}))]
    return tuple(
        (
            types[int(rng.integers(len(types)))],
            f"s{int(rng.integers(n_sales + 2))}",
            float(rng.exponential(DAY_US / SECOND_US)),
        )
        for _ in range(n_events)
    )


class Unexplained:
    """A ranker by hand whose log-odds no feature explains: all of them are the base."""

    def probabilities(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return what the ranker makes of each row."""
        raise NotImplementedError

    def p_examined(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return 1 for every row: every position is examined."""
        return np.ones(len(matrix))

    @property
    def position_effect(self) -> PositionEffect:
        """Return 1: every position is examined."""
        return PositionEffect.none()

    def contributions(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return nothing for every feature, and the log-odds."""
        p = self.probabilities(matrix)
        nothing = np.zeros((len(matrix), matrix.shape[1]))
        return np.concatenate([nothing, np.log(p / (1 - p))[:, None]], axis=1)


def ranker(schema: FeatureSchema, *, seed: int) -> LightGbmRanker:
    """A line and trees that look at random features, so that every column may decide."""
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(400, len(schema.names))).astype(np.float32)
    chances = 1.0 / (1.0 + np.exp(-matrix.astype(np.float64).sum(axis=1)))
    labels = (rng.random(400) < chances).astype(np.float64)
    rows = TrainingRows(matrix, labels, np.ones(400))
    line = offset(schema, seed=seed)
    trees = fit_trees(
        rows,
        rows,
        names=schema.names,
        decreasing=schema.decreasing,
        config=TreeConfig(max_trees=40, min_rows_per_leaf=5, learning_rate=0.1),
        seed=seed,
        offset=line,
    )
    return LightGbmRanker(trees, Calibration(slope=1.0, intercept=-1.0), line)


def offset(schema: FeatureSchema, *, seed: int) -> LinearOffset:
    """A straight line of random weights, and positions each half as good as the last."""
    rng, n_features = np.random.default_rng(seed), len(schema.names)
    columns = position_columns(schema)
    weights = rng.normal(0.0, 0.1, size=n_features)
    weights[list(columns)] = 0.0
    line = replace(flat_offset(n_features).regression, weights=weights)
    return LinearOffset(line, columns, PositionEffect.of_all(0.5 ** np.arange(4.0)))


def flat_offset(n_features: int) -> LinearOffset:
    """An offset of 0, so that trees stand alone."""
    return LinearOffset(
        LogisticRanker(
            scale=Scale(np.zeros(n_features), np.zeros(n_features), np.ones(n_features)),
            weights=np.zeros(n_features),
            unknown_weights=np.zeros(n_features),
            intercept=0.0,
        ),
        columns=(0, 0),
        position_effect=PositionEffect.none(),
    )


def scorer(sales: Iterable[Sale], pictures: Mapping[str, PictureScores] | None = None) -> Scorer:
    """A scorer of `SCHEMA`, whose trees were fitted to noise."""
    snapshot = Snapshot.from_sales({one.sale_id: one for one in sales}, pictures or {})
    return Scorer(
        bundle_id="by-hand",
        scene_model="",
        schema=SCHEMA,
        ranker=ranker(SCHEMA, seed=3),
        topics=TOPICS,
        snapshot=snapshot,
        counts=SaleCounts.none(len(snapshot.sales)),
    )


def feature(asked: Query, name: str) -> NDArray[np.float32]:
    """One column of the feature matrix."""
    return SCHEMA.assemble(asked)[:, SCHEMA.names.index(name)]
