"""Tastes: what is expected after some sales, by hand."""

import math

import numpy as np
import pytest

from models.arrays.array_file import Arrays
from models.domain.event import EventType
from models.query.query import Batch, CandidateCounts
from models.recommenders.content_encoder import Encoder, Projection
from models.recommenders.content_preference import ContentPreference
from tests.builders import DAY_US, SECOND_US, Seen, browse, catalogue, crowd, query, sale

CLICK, PURCHASE, SHOWN = EventType.CLICK, EventType.PURCHASE, EventType.IMPRESSION

ENCODER = Encoder(
    values=(("category", "ski"), ("category", "beach")),
    numbers=(),
    picture_centre=np.zeros(128),
    picture_axes=np.empty((128, 0)),
    topic_centre=np.empty(0),
    statistics_centre=np.zeros(4),
    statistics_scale=np.ones(4),
    value_centre=np.array([0.5, 0.5]),
    number_centre=np.zeros(2),
    number_scale=np.ones(2),
)
PLACES = Projection(ENCODER, np.array([*[[0.0]] * 4, [2.0], [0.0], [0.0], [0.0]]))
"""Ski is at 1, everything else at -1."""

TASTE = ContentPreference(PLACES, mean=np.array([0.1]), spread=np.array([0.5]), rate=0.2)
SHOP = catalogue(
    sale("slope", category="ski"), sale("piste", category="ski"), sale("sea", category="beach")
)
NAMES = ["slope", "piste", "sea"]


def column(name: str, *events: Seen, taste: ContentPreference = TASTE) -> list[float]:
    values = taste.scores(query(SHOP, *events, candidates=NAMES))
    return values[:, list(ContentPreference.columns).index(name)].tolist()


def expected_taste(mean: float, n: float) -> float:
    """The posterior mean of a normal taste, written the other way round: precisions add up."""
    precision = 1 / 0.5
    return (precision * 0.1 + n * mean) / (precision + n)


def test_without_events_the_average_taste_is_expected() -> None:
    expected = pytest.approx([0.1, 0.1, -0.1])

    assert column("taste") == expected
    assert column("taste_visit") == expected
    assert column("taste_appeal") == expected


def test_after_events_precisions_add_up() -> None:
    one = expected_taste(1.0, 1)
    both = expected_taste(0.0, 2)

    assert column("taste", (CLICK, "slope", 0.0)) == pytest.approx([one, one, -one])
    assert column("taste", (CLICK, "slope", 0.0), (CLICK, "sea", 0.0)) == pytest.approx(
        [both, both, -both]
    )


def test_a_sale_counts_once_however_often_it_was_touched() -> None:
    once = column("taste", (CLICK, "slope", 0.0))

    assert column("taste", (CLICK, "slope", 60.0), (PURCHASE, "slope", 0.0)) == once


def test_a_sale_fades_by_half_in_sixty_days_and_in_half_an_hour_of_the_visit() -> None:
    old = column("taste", (CLICK, "slope", 60.0 * DAY_US / SECOND_US))
    visit = column("taste_visit", (CLICK, "slope", 1_800.0))

    assert old[0] == pytest.approx(expected_taste(1.0, 0.5))
    assert visit[0] == pytest.approx(expected_taste(1.0, 0.5))


def most_likely(*events: Seen) -> float:
    """The mode of the posterior of a taste along the one axis, found by search.

    Ski is at 1 and beach at -1; of what was shown a Poisson number is opened, elsewhere
    ``exp(taste^2 / 2)`` is the mean over what is on offer.
    """
    at = {"slope": 1.0, "piste": 1.0, "sea": -1.0}
    days = {(kind, name): age_s * SECOND_US / DAY_US for kind, name, age_s in events}
    weights = {pair: 2 ** (-age / 60) for pair, age in days.items()}
    shown = {name: w for (kind, name), w in weights.items() if kind is SHOWN}
    touched = {name: w for (kind, name), w in weights.items() if kind is not SHOWN}

    def surprise(taste: float) -> float:
        opened = sum(w * taste * at[name] for name, w in touched.items())
        elsewhere = sum(w for name, w in touched.items() if name not in shown)
        looks = sum(0.2 * w * math.exp(taste * at[name]) for name, w in shown.items())
        return looks + elsewhere * taste**2 / 2 + (taste - 0.1) ** 2 / (2 * 0.5) - opened

    return min(np.linspace(-2, 2, 40_001).tolist(), key=surprise)


@pytest.mark.parametrize(
    "events",
    [
        ((SHOWN, "slope", 60.0),),
        ((SHOWN, "slope", 60.0), (SHOWN, "piste", 60.0), (SHOWN, "sea", 60.0)),
        ((SHOWN, "slope", 60.0), (SHOWN, "sea", 60.0), (CLICK, "sea", 50.0)),
        ((SHOWN, "slope", 60.0), (CLICK, "piste", 50.0), (CLICK, "slope", 20.0)),
        ((SHOWN, "slope", 50.0 * DAY_US / SECOND_US), (CLICK, "sea", 60.0)),
    ],
)
def test_what_was_passed_over_counts_against_it(events: tuple[Seen, ...]) -> None:
    taste = most_likely(*events)

    assert column("taste", *events) == pytest.approx([taste, taste, -taste], abs=2e-4)


def test_pages_of_one_kind_do_not_throw_a_taste_beyond_its_mode(rng: np.random.Generator) -> None:
    """Sixty sales alike in all eight dimensions, in which customers differ much."""
    axes = np.diag([0.0, 0.0, 0.0, 0.0, 2.0, 2.0, 0.0, 0.0])[:, [4, 5]]
    axes = np.hstack([axes + rng.normal(0.0, 0.01, size=(8, 2)) for _ in range(4)])
    taste = ContentPreference(Projection(ENCODER, axes), np.zeros(8), np.full(8, 1.0), rate=0.03)
    names = [f"ski {index}" for index in range(60)]
    of = catalogue(*(sale(name, category="ski") for name in names))
    passed: list[Seen] = [(SHOWN, name, 60.0) for name in names]
    place = taste.projection.project(of)[0]

    [liking] = set(taste.scores(query(of, *passed))[:, 0].round(9).tolist())

    # All pull in one direction: along it the posterior has one variable, found by search.
    grid = np.linspace(-8, 0, 80_001)
    surprise = 60 * 0.03 * np.exp(grid) + grid**2 / (2 * float(place @ place))
    assert liking == pytest.approx(grid[surprise.argmin()], abs=0.05)


def test_what_a_visit_showed_is_too_little_for_the_taste_of_the_visit() -> None:
    events = ((SHOWN, "slope", 60.0), (CLICK, "sea", 50.0))

    assert column("taste_visit", *events) == column("taste_visit", *events[1:])


def test_impressions_of_sales_that_are_gone_change_nothing() -> None:
    assert column("taste", (SHOWN, "gone", 60.0)) == column("taste")


@pytest.mark.parametrize("n_dimensions", [1, 3])
def test_customers_together_are_answered_to_the_bit_as_alone(
    n_dimensions: int, rng: np.random.Generator
) -> None:
    """Of windows of any length, some of whom were shown nothing."""
    axes = rng.normal(size=(8, n_dimensions))
    mean, spread = rng.normal(size=n_dimensions), rng.exponential(size=n_dimensions)
    taste = ContentPreference(Projection(ENCODER, axes), mean, spread, rate=0.2)
    of = crowd(40, rng)
    queries = [query(of, *browse(n_events, 40, rng=rng)) for n_events in (0, 3, 90, 1, 200, 0, 17)]
    queries.append(query(of, (CLICK, "s3", 5.0)))

    together = taste.batch_scores(
        Batch.from_queries(queries, list(map(CandidateCounts.from_query, queries)))
    )

    for asked, scores in zip(queries, together, strict=True):
        np.testing.assert_array_equal(scores, taste.scores(asked))


def test_without_dimensions_nothing_is_known() -> None:
    blind = ContentPreference(Projection(ENCODER, np.empty((8, 0))), np.empty(0), np.empty(0), 0.0)

    assert all(map(math.isnan, column("taste", (CLICK, "slope", 0.0), taste=blind)))


def test_it_round_trips() -> None:
    content = Arrays(TASTE.to_arrays()).to_bytes()

    again = ContentPreference.from_arrays(Arrays.from_bytes(content))

    assert column("taste", (CLICK, "slope", 9.0), taste=again) == column(
        "taste", (CLICK, "slope", 9.0)
    )


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("mean", np.zeros(2), "tastes of 2 dimensions for sales of 1"),
        ("rate", np.array([-0.1]), "the opening rate must be in .0, 1., got -0.1"),
        ("rate", np.array([np.nan]), "the opening rate must be in .0, 1., got nan"),
        ("axes", np.zeros((3, 1)), "3 rows of axes for vectors of length 8"),
        ("value_centre", np.zeros(5), "an encoder of 2 values has 5 means"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    name: str, array: np.ndarray[tuple[int, ...], np.dtype[np.float64]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        ContentPreference.from_arrays(Arrays({**TASTE.to_arrays(), name: array}))
