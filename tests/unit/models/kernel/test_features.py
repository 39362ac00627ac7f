"""The compiled features beside a plain computation of each, on random customers and sales."""

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.catalogue.catalogue import Catalogue
from models.domain.customer import WINDOW_EVENTS, Window, pack_member
from models.domain.event import DISLIKE, KINDS, EventType, key
from models.domain.profile import Profile
from models.domain.purchase_history import BOUGHT_SALES
from models.domain.recent_impressions import SHOWN_SALES, RecentImpressions
from models.domain.refund_matching import SHOWS_INTEREST, refunds_in_order
from models.features.schema import FeatureSchema
from models.kernel.features import CUSTOMER, RULES, hash_of, look_alike_counts
from models.kernel.library import MAX_BOUGHT, MAX_EVENTS, kernel
from models.kernel.steps import PLAN, STEP, Family, Step, Steps
from models.query.query import Batch, CandidateCounts, Context, Query
from models.recommenders.collaborative import Collaborative
from models.recommenders.content_encoder import Encoder, Projection
from models.recommenders.content_preference import ContentPreference
from models.recommenders.content_profile import ContentProfile
from models.recommenders.covisitation import Covisitation
from models.recommenders.image_similarity import ImageSimilarity
from models.recommenders.item_similarity import ItemSimilarity
from models.recommenders.recommender import Recommender
from models.recommenders.session import Session
from models.recommenders.text_embedding import TextSpace
from models.recommenders.text_similarity import TextSimilarity
from tests.builders import NOW_US, POPULARITY, crowd

N_SALES, N_FACTORS = 30, 6
Vector = NDArray[np.float64]
VISIT_S, LASTING_S, TASTE_S = 1_800.0, 14 * 86_400.0, 60 * 86_400.0
INTEREST = {"view": 1.0, "click": 1.0, "cart": 2.0, "purchase": 3.0, "favourite": 2.0}
NAN = float("nan")


def test_structures_are_laid_out_as_in_c() -> None:
    sizes = (ctypes.c_int64 * 4).in_dll(kernel(), "SIZES")

    assert list(sizes) == [RULES.itemsize, STEP.itemsize, PLAN.itemsize, CUSTOMER.itemsize]
    assert MAX_EVENTS == WINDOW_EVENTS == SHOWN_SALES
    assert MAX_BOUGHT == BOUGHT_SALES


@cache
def shop() -> Catalogue:
    return crowd(N_SALES, np.random.default_rng(1))


@cache
def recommenders() -> Mapping[str, Recommender]:
    """One of each that the kernel computes, fitted to nothing."""
    rng = np.random.default_rng(2)
    encoder = Encoder(
        values=(("category", "c1"),),
        numbers=(),
        picture_centre=np.zeros(128),
        picture_axes=rng.normal(size=(128, 3)),
        topic_centre=np.zeros(2),
        statistics_centre=np.zeros(4),
        statistics_scale=np.ones(4),
        value_centre=np.zeros(1),
        number_centre=np.zeros(2),
        number_scale=np.full(2, 5.0),
    )
    projection = Projection(encoder, rng.normal(size=(encoder.size, N_FACTORS)) / 3)
    base = rng.normal(size=(40, N_FACTORS))
    factors = Collaborative(
        projection, shop().keys[:9], rng.normal(size=(9, N_FACTORS)), base.T @ base + 1e-3, 3.0
    )
    spread = rng.exponential(size=N_FACTORS)
    near = rng.integers(N_SALES, size=(20, 4))
    companions = ItemSimilarity(shop().keys[:20], shop().keys[near], rng.random((20, 4)))
    words = TextSpace(("red", "blue"), np.ones(2), rng.normal(size=(2, 2)))
    found = (
        ContentPreference(projection, rng.normal(size=N_FACTORS), spread, rate=0.1),
        ContentProfile(),
        ImageSimilarity(POPULARITY),
        factors,
        Session(factors, np.zeros(N_FACTORS), np.eye(N_FACTORS), rng.normal(size=(24, 6))),
        TextSimilarity(words, np.zeros(2), rng.normal(size=(2, 3)), np.ones(3), np.ones(3)),
        Covisitation(companions),
    )
    return {one.name: one for one in found}


@dataclass(frozen=True)
class Seen:
    """An event of a known sale that still shows interest."""

    row: int
    kind: str
    age_s: float

    def interest(self, half_life_s: float) -> float:
        return INTEREST[self.kind] * 2 ** (-self.age_s / half_life_s)


@dataclass(frozen=True)
class Plain:
    """A customer, by loops over their window."""

    query: Query

    @property
    def seen(self) -> list[Seen]:
        window, catalogue = self.query.window, self.query.catalogue
        kinds: list[int] = window.kinds.tolist()
        keys: list[int] = window.sale_keys.tolist()
        shows = SHOWS_INTEREST.take(window.kinds).tolist()
        for _, changed in refunds_in_order(keys, kinds, quantities=window.quantities.tolist()):
            for index, left in changed:
                shows[index] = shows[index] and left > 0
        row_of = {int(one): row for row, one in enumerate(catalogue.keys.tolist())}
        found: list[Seen] = []
        for place, (kind, sale, at) in enumerate(
            zip(kinds, keys, window.at_us.tolist(), strict=True)
        ):
            disliked = [
                later
                for later in range(place + 1, len(kinds))
                if kinds[later] == DISLIKE and keys[later] == sale
            ]
            if shows[place] and not disliked and sale in row_of:
                age_s = max(self.query.context.now_us - at, 0) / 1e6
                found.append(Seen(row_of[sale], str(KINDS[kind]), age_s))
        return found

    @property
    def shown(self) -> dict[int, tuple[float, float]]:
        """Age in seconds and position of each sale that was shown."""
        shown, now_s = self.query.window.shown, self.query.context.now_us / 1e6
        rows = self.query.catalogue.rows_for(shown.sale_keys).tolist()
        each = zip(rows, shown.at_s.tolist(), shown.positions.tolist(), strict=True)
        return {row: (max(now_s - at, 0.0), at_ or NAN) for row, at, at_ in each if row >= 0}

    @property
    def distinct(self) -> dict[int, float]:
        """Age of the newest event with each sale."""
        return {one.row: one.age_s for one in self.seen}

    def interest(self, half_life_s: float) -> float:
        return 0.5 + sum(one.interest(half_life_s) for one in self.seen)

    def mean(self, table: Vector, half_life_s: float) -> Vector:
        summed = np.zeros(table.shape[1])
        for one in self.seen:
            summed += one.interest(half_life_s) * table[one.row]
        return summed / self.interest(half_life_s)

    def near(self, rows: Sequence[int], weights: Sequence[float]) -> float:
        lasting = [
            weight * one.interest(LASTING_S)
            for row, weight in zip(rows, weights, strict=True)
            for one in self.seen
            if one.row == row
        ]
        return sum(lasting) / self.interest(LASTING_S)

    def posterior(self, places: Vector, mean: Vector, spread: Vector, memory_s: float) -> Vector:
        n, summed = 0.0, np.zeros(len(mean))
        for row, age_s in self.distinct.items():
            if not np.isnan(places[row]).any():
                n += 2 ** (-age_s / memory_s)
                summed += 2 ** (-age_s / memory_s) * places[row]
        return (mean / spread + summed) / (1 / spread + n)


def plain_content(of: Plain) -> Vector:
    catalogue = of.query.catalogue
    topics = [
        np.einsum("ij,j->i", catalogue.topics, of.mean(catalogue.topics, half_life))
        / catalogue.topic_length
        for half_life in (LASTING_S, VISIT_S)
    ]

    def share(column: int, half_life_s: float) -> Vector:
        codes = catalogue.vocabulary.codes[:, column]
        shares = [
            sum(one.interest(half_life_s) for one in of.seen if codes[one.row] == code and code)
            for code in codes.tolist()
        ]
        return np.array(shares, dtype=np.float64) / of.interest(half_life_s)

    priced = [one for one in of.seen if not np.isnan(catalogue.log_price[one.row])]
    weights = [one.interest(LASTING_S) for one in priced]
    prices = [float(catalogue.log_price[one.row]) for one in priced]
    mean = np.average(prices, weights=weights) if priced else NAN
    category, country, destination = (share(column, LASTING_S) for column in range(3))
    return np.stack(
        [
            np.nan_to_num(topics[0]) + category + country + destination,
            *topics,
            category,
            share(0, VISIT_S),
            country,
            destination,
            catalogue.log_price - mean,
        ],
        axis=1,
    )


def plain_images(of: Plain) -> Vector:
    catalogue = of.query.catalogue
    vectors = np.where(catalogue.pictured[:, None], catalogue.embeddings.astype(np.float64), np.nan)
    known = np.nan_to_num(vectors)
    near = catalogue.neighbours
    return np.stack(
        [
            vectors @ of.mean(known, LASTING_S),
            vectors @ of.mean(known, VISIT_S),
            [
                of.near(rows, weights)
                for rows, weights in zip(
                    near.rows.tolist(), near.similarities.tolist(), strict=True
                )
            ],
        ],
        axis=1,
    )


def plain_taste(of: Plain) -> Vector:
    """The mode by the same three Newton steps, with matrices."""
    fitted = recommenders()["taste"]
    assert isinstance(fitted, ContentPreference)
    places = fitted.projection.project(of.query.catalogue)
    mean, spread = fitted.mean, fitted.spread
    taste = of.posterior(places, mean, spread, TASTE_S)
    if of.shown:
        x = places[list(of.shown)]
        looks = fitted.rate * 2 ** (-np.array([age for age, _ in of.shown.values()]) / TASTE_S)
        apart = {row: age for row, age in of.distinct.items() if row not in of.shown}
        precision = 1 / spread + sum(2 ** (-age / TASTE_S) for age in apart.values())
        weights = np.array([2 ** (-age / TASTE_S) for age in of.distinct.values()])
        linear = mean / spread + weights @ places[list(of.distinct)]
        taste = mean
        for _ in range(3):
            opens = looks * np.exp(np.clip(x @ taste, -4, 4))
            slope = linear - x.T @ opens - precision * taste
            step = slope / (precision + np.square(x).T @ opens)
            bend = precision * step @ step + opens @ np.square(x @ step)
            taste = taste + step * (slope @ step) / max(float(bend), 1e-300)
    visit = of.posterior(places, mean, spread, VISIT_S)
    return places @ np.stack([taste, visit, mean], axis=1)


def plain_text(of: Plain) -> Vector:
    fitted = recommenders()["text"]
    assert isinstance(fitted, TextSimilarity)
    sales = of.query.catalogue.sales
    places = fitted.place([(one.title or "", one.description or "") for one in sales])
    tastes = [
        of.posterior(places, fitted.mean, fitted.spread, memory) for memory in (TASTE_S, VISIT_S)
    ]
    return places @ np.stack(tastes, axis=1)


def plain_collaborative(of: Plain) -> Vector:
    fitted = recommenders()["collaborative"]
    assert isinstance(fitted, Collaborative)
    factors = fitted.factors(of.query.catalogue)
    if not of.seen:
        return np.full((len(factors), 1), np.nan)
    own = factors[list(of.distinct)]
    normal: Vector = fitted.gramian + 3.0 * np.einsum("ij,ik->jk", own, own)
    wanted: Vector = 4.0 * own.sum(axis=0)
    return np.einsum("ij,j->i", factors, np.linalg.solve(normal, wanted))[:, None]


def plain_covisitation(of: Plain) -> Vector:
    fitted = recommenders()["covisitation"]
    assert isinstance(fitted, Covisitation)
    near = fitted.companions.neighbours(of.query.catalogue)
    pairs = zip(near.rows.tolist(), near.similarities.tolist(), strict=True)
    found = [of.near(rows, weights) if max(weights) > 0 else NAN for rows, weights in pairs]
    return np.array(found)[:, None]


def plain_session(of: Plain) -> Vector:
    fitted = recommenders()["session"]
    assert isinstance(fitted, Session)
    places, visit, later_s = fitted.coordinates(of.query.catalogue), list[Seen](), 0.0
    for one in reversed(of.seen):
        if one.age_s - later_s > VISIT_S:
            break
        visit.append(one)
        later_s = one.age_s
    rows = [one.row for n, one in enumerate(visit) if not n or visit[n - 1].row != one.row]
    if not rows:
        return np.full((len(places), 1), np.nan)
    last = [places[row] for row in rows[:3]] + [np.zeros(N_FACTORS)] * (3 - len(rows[:3]))
    described = np.concatenate([*last, places[rows].mean(axis=0)])
    expected = np.asarray(described @ fitted.steps, dtype=np.float64)
    return (places @ expected)[:, None]


PLAIN = {
    "content": plain_content,
    "images": plain_images,
    "taste": plain_taste,
    "text": plain_text,
    "collaborative": plain_collaborative,
    "covisitation": plain_covisitation,
    "session": plain_session,
}

SALES = st.integers(0, N_SALES + 1).map(lambda number: f"s{number}")
"""Two of them are unknown."""

AGES = st.one_of(
    st.integers(-5, 5), st.integers(0, 7_200), st.integers(1_795, 1_805), st.integers(0, 10**7)
)


@st.composite
def queries(draw: st.DrawFn) -> Query:
    """A customer who did anything, from nothing to a full window, and was shown anything."""
    kinds = st.sampled_from([kind for kind in EventType if kind is not EventType.IMPRESSION])
    events = draw(st.lists(st.tuples(kinds, SALES, AGES, st.integers(0, 3)), max_size=140))
    members = [
        pack_member(
            number << 16, key(sale), at_us=NOW_US - age * 10**6, event_type=kind, quantity=quantity
        )
        for number, (kind, sale, age, quantity) in enumerate(events)
    ]
    shown = draw(st.lists(st.tuples(SALES, AGES, st.integers(0, 12)), max_size=40))
    impressions = RecentImpressions.from_events(
        np.array([key(sale) for sale, _, _ in shown], dtype=np.uint64),
        np.array([NOW_US - age * 10**6 for _, age, _ in shown], dtype=np.int64),
        positions=np.array([position for _, _, position in shown], dtype=np.int64),
    )
    rows = draw(st.lists(st.integers(0, N_SALES - 1), max_size=12))
    profile = Profile(draw(st.sampled_from([0, NOW_US - 10**9])), (1, 2, 3, 4, 5))
    window = Window.from_members(members, impressions)
    return Query(window, profile, shop(), Context(NOW_US), np.array(rows, dtype=np.int64))


@given(asked=queries())
def test_scores_are_those_of_a_plain_computation(asked: Query) -> None:
    every = replace(asked, rows=np.arange(N_SALES))

    for name, plain in PLAIN.items():
        expected = plain(Plain(every))
        found = recommenders()[name].scores(every)[:, : expected.shape[1]]
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12, err_msg=name)


@given(asked=st.lists(queries(), min_size=1, max_size=4))
def test_queries_together_and_candidates_alone_have_the_same_bits(asked: list[Query]) -> None:
    schema = FeatureSchema(tuple(recommenders().values()))
    alike = [replace(one, rows=asked[0].rows) for one in asked]

    batch = Batch.from_queries(alike, list(map(CandidateCounts.from_query, alike)))
    together = schema.assemble_batch(batch)

    for matrix, one in zip(together, alike, strict=True):
        rows = [
            schema.assemble(replace(one, rows=one.rows[n : n + 1])) for n in range(len(one.rows))
        ]
        assert (
            matrix.tobytes()
            == schema.assemble(one).tobytes()
            == b"".join(row.tobytes() for row in rows)
        )


def test_a_customer_leaves_nothing_in_the_scratch_of_a_catalogue() -> None:
    """One who touched much, between two equal ones who touched nothing."""
    busy = tuple(
        pack_member(n, key(f"s{n % N_SALES}"), at_us=NOW_US - n, event_type=EventType.CART)
        for n in range(100)
    )
    nothing = Query(Window.empty(), Profile.empty(), shop(), Context(NOW_US), np.arange(N_SALES))
    schema = FeatureSchema(tuple(recommenders().values()))
    before = schema.assemble(nothing).tobytes()

    schema.assemble(replace(nothing, window=Window.from_members(busy)))

    assert schema.assemble(nothing).tobytes() == before


@given(
    counted=st.lists(st.lists(st.integers(0, 9), min_size=6, max_size=6), min_size=4, max_size=4),
    rows=st.lists(st.integers(0, 3), max_size=5),
)
def test_look_alikes_are_summed_by_the_eighth_power(
    counted: list[list[int]], rows: list[int]
) -> None:
    """Sale 3 has no neighbour."""
    totals = np.array(counted, dtype=np.float64)
    near = np.array([[1, 2], [0, 3], [3, 0], [0, 0]])
    alike = np.array([[0.9, 0.5], [1.0, 0.0], [0.25, 0.1], [0.0, 0.0]])

    found = look_alike_counts(totals, near, similarities=alike, rows=np.array(rows, dtype=np.int64))

    expected = np.einsum("ij,ijk->ik", alike**8, totals[near])
    expected[3] = np.nan
    np.testing.assert_allclose(found, expected[rows], rtol=1e-12)


@pytest.mark.parametrize(
    ("n_counted", "rows"), [(4, [0]), (3, [3]), (3, [-1])], ids=["shape", "beyond", "negative"]
)
def test_look_alikes_of_unknown_sales_are_refused(n_counted: int, rows: list[int]) -> None:
    with pytest.raises(ValueError, match=r"counts .* and neighbours \(3, 2\) of 1 sales"):
        look_alike_counts(
            np.zeros((n_counted, 6)),
            np.zeros((3, 2), dtype=np.int64),
            similarities=np.zeros((3, 2)),
            rows=np.array(rows),
        )


def test_tables_of_another_type_or_layout_are_refused() -> None:
    """The kernel would read other numbers, or beyond them."""
    with pytest.raises(ValueError, match="tables of SESSION have types fd, not dd"):
        Step(Family.SESSION, 1, (np.zeros((2, 2), dtype=np.float32), np.zeros((8, 2))))
    transposed = Step(Family.SESSION, 1, (np.zeros((2, 3)).T, np.zeros((8, 2))))
    with pytest.raises(ValueError, match=r"shape \(3, 2\) is not contiguous"):
        Steps([(0, transposed)], n_columns=1)


def murmur3(content: bytes) -> str:
    """MurmurHash3 x64 128, by integers without a bound."""
    most = 2**64 - 1
    n_bytes = len(content)
    first, second, a, b = 0x87C37B91114253D5, 0x4CF5AD432745937F, 0, 0

    def rotated(x: int, bits: int) -> int:
        return (x << bits | x >> (64 - bits)) & most

    def halves(start: int) -> tuple[int, int]:
        part = content[start : start + 16].ljust(16, b"\0")
        low, high = int.from_bytes(part[:8], "little"), int.from_bytes(part[8:], "little")
        low = rotated(low * first & most, 31) * second & most
        return low, rotated(high * second & most, 33) * first & most

    for start in range(0, n_bytes // 16 * 16, 16):
        low, high = halves(start)
        a = ((rotated(a ^ low, 27) + b) * 5 + 0x52DCE729) & most
        b = ((rotated(b ^ high, 31) + a) * 5 + 0x38495AB5) & most
    low, high = halves(n_bytes // 16 * 16)
    a, b = a ^ low ^ n_bytes, b ^ high ^ n_bytes
    a = (a + b) & most
    b = (b + a) & most
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        a, b = (a ^ a >> 33) * factor & most, (b ^ b >> 33) * factor & most
    a, b = a ^ a >> 33, b ^ b >> 33
    a = (a + b) & most
    return f"{a:016x}{(b + a) & most:016x}"


@given(rows=st.lists(st.floats(width=32), max_size=11))
def test_a_hash_is_that_of_the_bytes(rows: list[float]) -> None:
    matrix = np.array(rows, dtype=np.float32)[:, None]

    assert hash_of(matrix) == murmur3(matrix.tobytes())
    assert hash_of(np.asfortranarray(np.hstack([matrix, matrix]))) == hash_of(
        np.hstack([matrix, matrix])
    )


def test_the_hash_is_the_published_one() -> None:
    """A vector of the reference implementation's users: the words of "hello" with seed 0."""
    assert murmur3(b"hello") == "cbd8a7b341bd9b025b1e906a48ae1d19"
    assert murmur3(b"") == "0" * 32
