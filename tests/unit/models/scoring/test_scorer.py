"""From a bundle to scores: what does not reproduce itself is not loaded."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from models.arrays.array_file import Arrays
from models.domain.event import KIND, EventType
from models.domain.profile import Profile
from models.features.context import device_code
from models.query.query import Context
from models.ranker.logistic import LogisticRanker, Scale
from models.ranker.objective import TrainingObjective
from models.ranker.order_size import OrderSizes
from models.ranker.position_effect import PositionEffect
from models.ranker.ranker import LightGbmRanker
from models.ranker.two_stage import CALIBRATION_FILE, OFFSET_FILE, RANKER_FILE
from models.scoring.bundle import FORMAT_VERSION, Bundle, BundleError, Manifest
from models.scoring.golden_rows import GoldenRows, GoldenVisit
from models.scoring.model_card import MODEL_CARD_FILE
from models.scoring.probability import ProbabilityOf
from models.scoring.scorer import (
    ATTRIBUTES_FILE,
    COUNTS_FILE,
    EXPLANATION_FILE,
    GOLDEN_FILE,
    LOGISTIC_FILE,
    ORDER_SIZES_FILE,
    SNAPSHOT_FILE,
    TOPICS_FILE,
    Scorer,
    Scores,
    recommender_file,
)
from tests.builders import (
    NOW_US,
    SCHEMA,
    browse,
    picture,
    query,
    ranker,
    rows,
    sale,
    scorer,
    window,
)
from tests.cards import card

POPULARITY_FILE = recommender_file("popularity")
CLICK = KIND[EventType.CLICK]
SALES = [sale(f"s{index}", category=f"c{index % 2}", price=50.0 * index) for index in range(8)]
PICTURES = {
    f"s{index}": picture(index / 8, 1 - index / 8, embedding={index: 1.0}) for index in range(6)
}


RANKER = ranker(SCHEMA, seed=3)
N_FEATURES = len(SCHEMA.names)
LOGISTIC = LogisticRanker(
    scale=Scale(np.ones(N_FEATURES), np.full(N_FEATURES, 0.1), np.full(N_FEATURES, 2.0)),
    weights=np.linspace(-1, 1, N_FEATURES),
    unknown_weights=np.full(N_FEATURES, 0.01),
    intercept=-3.0,
)


@cache
def contents() -> Mapping[str, bytes]:
    """The files of a small bundle."""
    made = replace(scorer(SALES, PICTURES), logistic=LOGISTIC)
    trees, calibration = RANKER.to_text()
    events = browse(30, len(SALES), rng=np.random.default_rng(5))
    visits = [
        GoldenVisit(window(), Profile.empty(), Context(NOW_US)),
        GoldenVisit(
            window(*events),
            Profile(NOW_US - 10**12, (0, 3, 2, 1, 1, 0, 0, 0, 0, 0)),
            Context(NOW_US),
        ),
    ]
    golden = GoldenRows.record(visits, made.seed_catalogue(), orders=made.orders)
    return {
        RANKER_FILE: trees.encode(),
        CALIBRATION_FILE: calibration.encode(),
        OFFSET_FILE: RANKER.offset.to_bytes(),
        LOGISTIC_FILE: LOGISTIC.to_bytes(),
        TOPICS_FILE: made.topics.to_bytes(),
        ATTRIBUTES_FILE: made.schema.attributes.to_bytes(),
        SNAPSHOT_FILE: made.snapshot.to_bytes(),
        COUNTS_FILE: made.counts.to_bytes(),
        GOLDEN_FILE: golden.to_bytes(),
        MODEL_CARD_FILE: card(ProbabilityOf.VISIT).to_bytes(),
        ORDER_SIZES_FILE: made.order_sizes.to_bytes(),
        **{
            recommender_file(one.name): Arrays(one.to_arrays()).to_bytes()
            for one in SCHEMA.recommenders
        },
    }


def bundle(changes: Mapping[str, bytes] | None = None, **manifest: object) -> Bundle:
    """A bundle whose hashes hold, since they are not looked at once it is read."""
    described: dict[str, object] = {
        "format_version": FORMAT_VERSION,
        "until": "2025-03-10T12:00:00+00:00",
        "judged_as": "",
        "awaits_traffic": False,
        "files": {},
        "schema_hash": SCHEMA.hash,
        "recommenders": [one.name for one in SCHEMA.recommenders],
        "scene_model": "scenes-1",
        "config": {},
        "seed": 1,
        "data_fingerprint": "",
        "metrics": {},
        "versions": {},
    }
    return Bundle(Manifest.model_validate(described | manifest), {**contents(), **(changes or {})})


def every_leaf_changed() -> bytes:
    """The trees with other digits in their leaves, and of the same length."""
    digits = str.maketrans("12345678", "23456789")
    lines = contents()[RANKER_FILE].decode().split("\n")
    return "\n".join(
        line.translate(digits) if line.startswith("leaf_value=") else line for line in lines
    ).encode()


def priors(*values: float) -> bytes:
    return Arrays({"priors": np.array(values)}).to_bytes()


def test_a_loaded_scorer_gives_the_scores_of_the_one_that_was_kept() -> None:
    made, loaded = scorer(SALES, PICTURES), Scorer.load(bundle())
    asked = query(made.seed_catalogue(), (EventType.CART, "s3", 60.0))

    assert loaded.probabilities(asked).tobytes() == made.probabilities(asked).tobytes()
    assert loaded.schema.names == made.schema.names
    assert (loaded.scene_model, loaded.bundle_id) == ("scenes-1", bundle().id)
    assert set(loaded.pictures) == set(PICTURES)
    assert loaded.probability_of is ProbabilityOf.VISIT


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({RANKER_FILE: every_leaf_changed()}, id="a tree"),
        pytest.param(
            {POPULARITY_FILE: priors(0.1001, 0.2, 10.0, 5.0, KIND[EventType.CLICK])},
            id="a click rate",
        ),
        pytest.param(
            {POPULARITY_FILE: priors(0.1, 0.2001, 10.0, 5.0, KIND[EventType.CLICK])},
            id="a purchase rate",
        ),
        pytest.param({CALIBRATION_FILE: b'{"slope": 1.0, "intercept": -0.999}'}, id="an intercept"),
        pytest.param({CALIBRATION_FILE: b'{"slope": NaN, "intercept": -1.0}'}, id="not a number"),
    ],
)
def test_what_does_not_reproduce_its_golden_rows_is_not_loaded(changes: dict[str, bytes]) -> None:
    with pytest.raises(BundleError, match="does not reproduce its own scores"):
        Scorer.load(bundle(changes))


def test_fewer_sales_than_golden_rows_are_not_loaded() -> None:
    made = scorer(SALES[1:], PICTURES)
    changes = {SNAPSHOT_FILE: made.snapshot.to_bytes(), COUNTS_FILE: made.counts.to_bytes()}

    with pytest.raises(BundleError, match="a golden row differs by inf"):
        Scorer.load(bundle(changes))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({RANKER_FILE: b"no trees"}, "malformed ranker"),
        ({RANKER_FILE: contents()[RANKER_FILE][:5_000]}, "malformed ranker"),
        ({RANKER_FILE: b"\xff"}, r"ranker\.txt is no UTF-8"),
        ({CALIBRATION_FILE: b"{"}, "Expecting property name"),
        ({TOPICS_FILE: b""}, r"No data left in file"),
        ({ATTRIBUTES_FILE: contents()[TOPICS_FILE]}, "array .sale_text_names. is missing"),
        ({SNAPSHOT_FILE: b"no arrays"}, "contains pickled"),
        ({COUNTS_FILE: contents()[TOPICS_FILE]}, "array 'at_us' is missing"),
        ({GOLDEN_FILE: contents()[TOPICS_FILE]}, "array 'windows' is missing"),
        ({OFFSET_FILE: LOGISTIC.to_bytes()}, "array 'columns' is missing"),
        ({LOGISTIC_FILE: contents()[TOPICS_FILE]}, "array 'logarithmic' is missing"),
        ({POPULARITY_FILE: priors(0.1, 0.2)}, "popularity has 5 priors, got 2"),
        ({MODEL_CARD_FILE: b"{}"}, r"malformed model_card\.json"),
        (
            {EXPLANATION_FILE: Arrays({"contributions": np.ones(2)}).to_bytes()},
            f"usual contributions of 2 features do not fit {len(SCHEMA.names)} features",
        ),
    ],
)
def test_a_malformed_file_is_a_bundle_error(changes: dict[str, bytes], reason: str) -> None:
    with pytest.raises(BundleError, match=reason):
        Scorer.load(bundle(changes))


def test_other_features_are_refused() -> None:
    with pytest.raises(BundleError, match="feature schema 000000000000, this software has"):
        Scorer.load(bundle(schema_hash="0" * 64))


def test_an_unknown_recommender_is_refused() -> None:
    with pytest.raises(BundleError, match="unknown recommender 'oracle'; known are popularity,"):
        Scorer.load(bundle(recommenders=["oracle"]))


def test_trees_of_other_columns_are_refused() -> None:
    trees = contents()[RANKER_FILE].replace(b"customer_views", b"customer_waits")

    with pytest.raises(BundleError, match="expects other features than the schema lists"):
        Scorer.load(bundle({RANKER_FILE: trees}))


def test_policies_are_the_meta_model_and_every_recommender() -> None:
    meta = ("meta", "meta-revenue", "meta-margin")
    recommenders = ("popularity", "content", "images")

    assert scorer(SALES).policies == (*meta, *recommenders)
    assert Scorer.load(bundle()).policies == (*meta, "logistic", *recommenders)


def test_the_meta_model_orders_by_probability() -> None:
    made = scorer(SALES, PICTURES)
    asked = query(made.seed_catalogue(), (EventType.VIEW, "s1", 60.0))

    scores = made.score(asked)

    assert scores.order.tolist() == made.probabilities(asked).tolist()
    assert np.all((scores.probabilities > 0) & (scores.probabilities < 1))


@pytest.mark.parametrize("policy", ["popularity", "content", "images"])
def test_a_recommender_orders_by_its_first_column_and_unknown_comes_last(policy: str) -> None:
    made = scorer(SALES, PICTURES)
    asked = query(made.seed_catalogue(), (EventType.VIEW, "s1", 60.0))
    (recommender,) = [one for one in SCHEMA.recommenders if one.name == policy]
    column = recommender.scores(asked)[:, 0].astype(np.float32)

    scores = made.score(asked, policy)

    assert scores.order.tolist() == np.where(np.isnan(column), -np.inf, column).tolist()
    assert scores.probabilities.tolist() == made.probabilities(asked).tolist()


def test_the_baseline_orders_by_its_own_log_odds() -> None:
    loaded = Scorer.load(bundle())
    asked = query(loaded.seed_catalogue(), (EventType.VIEW, "s1", 60.0))

    scores = loaded.score(asked, "logistic")

    assert scores.order.tolist() == LOGISTIC.log_odds(scores.features).tolist()


def test_revenue_and_margin_are_expected_ones_and_sales_that_tell_none_come_last() -> None:
    """The usual margin is 20% of the price: the median of 10%, 20% and 50%."""
    sales = [
        sale("dear", price=1_000.0, margin=100.0),
        sale("fair", price=100.0, margin=20.0),
        sale("thin", price=10.0, margin=5.0),
        sale("silent", price=200.0),
        sale("unpriced"),
    ]
    made = scorer(sales)
    asked = query(made.seed_catalogue())
    p = made.score(asked).probabilities
    place = {sale.sale_id: row for row, sale in enumerate(asked.catalogue.sales)}

    revenue, margin = (made.score(asked, name).order for name in ("meta-revenue", "meta-margin"))

    prices = {"dear": 1_000.0, "fair": 100.0, "thin": 10.0, "silent": 200.0}
    margins = {"dear": 100.0, "fair": 20.0, "thin": 5.0, "silent": 40.0}
    for name, row in place.items():
        if name != "unpriced":
            assert revenue[row] == pytest.approx(p[row] * prices[name])
            assert margin[row] == pytest.approx(p[row] * margins[name])
    assert np.argmin(revenue) == np.argmin(margin) == place["unpriced"]


def test_a_bundle_trained_for_value_orders_by_price_times_the_usual_size_of_an_order() -> None:
    sales = [sale("s1", price=10.0), sale("s2", price=30.0), sale("s3")]
    sizes = OrderSizes(np.sort(scorer(sales).seed_catalogue().keys)[:1], np.array([4.0]), 2.0)
    plain = replace(scorer(sales), order_sizes=sizes)
    made = replace(plain, objective=TrainingObjective.VALUE)
    asked = query(made.seed_catalogue())

    found, p = made.score(asked).order, plain.score(asked).order

    assert found.tobytes() == plain.score(asked, "meta-revenue").order.tobytes()
    prices = np.array(
        [{"s1": 10.0, "s2": 30.0, "s3": np.nan}[one.sale_id] for one in asked.catalogue.sales]
    )
    # The sale of the lowest key has orders of 4 pieces, the others of 2.
    priced = np.isfinite(prices)
    assert found[priced] == pytest.approx((p * prices * np.array([4.0, 2.0, 2.0]))[priced])
    assert np.argmin(found) == np.argmax(~priced)


def test_an_explanation_is_of_the_probability_that_was_answered() -> None:
    made = scorer(SALES, PICTURES)
    asked = query(made.seed_catalogue(), (EventType.VIEW, "s1", 60.0))
    scores = made.score(asked)
    shown = np.argsort(-scores.order)[:3]

    explained = made.explain(asked, asked.rows[shown])

    rows: list[int] = asked.rows[shown].tolist()
    ids = [asked.catalogue.sales[row].sale_id for row in rows]
    assert [one.sale_id for one in explained] == ids
    for one, probability in zip(explained, scores.probabilities[shown].tolist(), strict=True):
        assert one.probability == probability
        assert one.log_odds == pytest.approx(np.log(probability / (1 - probability)), abs=1e-9)


def test_explanations_are_relative_to_what_is_usual() -> None:
    usual = np.arange(len(SCHEMA.names)) / 8
    own = Scorer.load(bundle())
    relative = Scorer.load(bundle({EXPLANATION_FILE: Arrays({"contributions": usual}).to_bytes()}))
    asked = query(own.seed_catalogue(), (EventType.VIEW, "s1", 60.0))

    [before], [after] = (one.explain(asked, asked.rows[:1]) for one in (own, relative))

    moved = np.array(list(before.features.values())) - list(after.features.values())
    assert moved == pytest.approx(usual)
    assert after.base == pytest.approx(before.base + usual.sum())
    assert after.log_odds == pytest.approx(before.log_odds)
    assert sum(after.groups.values()) == pytest.approx(after.log_odds - after.base)


def test_an_explanation_names_what_else_sales_are_ordered_by() -> None:
    """A price of 10 times 2 pieces; no margin is known, so it is the price; and no price."""
    priced = (sale("s1", price=10.0), sale("s2"))
    sizes = OrderSizes(np.empty(0, dtype=np.uint64), np.empty(0), 2.0)
    made = replace(scorer(priced), order_sizes=sizes, objective=TrainingObjective.VALUE)
    asked = query(made.seed_catalogue())
    both = rows(asked.catalogue, "s1", "s2")

    def ends(policy: str) -> list[str]:
        told = made.explain(asked, both, policy=policy)
        return [one.sentence.rpartition(". ")[2] for one in told]

    by_price = [
        "Ordered by its probability × 20.00 (price × usual size of an order).",
        "Ordered after the sales of known price × usual size of an order.",
    ]
    assert ends("meta") == ends("meta-revenue") == by_price
    assert ends("meta-margin")[0].endswith("× 20.00 (margin × usual size of an order).")
    assert ends("popularity") == ["Ordered by 'popularity', not by this probability."] * 2
    plain = replace(made, objective=TrainingObjective.PURCHASE)
    assert "Ordered" not in plain.explain(asked, both)[0].sentence


def test_an_unknown_policy_is_told_what_there_is() -> None:
    made = scorer(SALES)

    with pytest.raises(ValueError, match="no policy 'best'; this bundle has meta, meta-revenue"):
        made.score(query(made.seed_catalogue()), "best")


def test_no_candidates_have_no_scores() -> None:
    made = scorer(SALES)

    scores = made.score(query(made.seed_catalogue(), candidates=[]))

    assert scores.features.shape == (0, len(SCHEMA.names))
    assert (len(scores.order), len(scores.probabilities)) == (0, 0)


def test_the_hash_of_features_is_that_of_their_bits() -> None:
    matrix = np.array([[0.0, 1.0]], dtype=np.float32)

    def hashed(features: NDArray[np.float32]) -> str:
        nothing = np.empty(0)
        return Scores(nothing, nothing, features, nothing, nothing, nothing).feature_hash

    assert len(hashed(matrix)) == 32
    assert hashed(matrix) == hashed(matrix.copy())
    assert hashed(matrix) != hashed(-matrix)
    assert hashed(matrix) != hashed(np.nextafter(matrix, np.float32(2.0)))


def test_positions_are_examined_as_on_the_device_of_the_request() -> None:
    """The ranker's curve halves by position; phones have one of their own."""
    made = scorer(SALES, PICTURES)
    assert isinstance(made.ranker, LightGbmRanker)
    curves = np.array([[1.0, 0.5, 0.25], [1.0, 0.75, 0.5]])
    effect = PositionEffect(curves, np.array([device_code("phone")]))
    ranker = replace(made.ranker, offset=replace(made.ranker.offset, position_effect=effect))
    by_device = replace(made, ranker=ranker)

    assert by_device.p_examined(4, "phone").tolist() == [1.0, 0.75, 0.5, 0.5]
    assert by_device.p_examined(2, "tablet").tolist() == [1.0, 0.5]
    assert by_device.p_examined(2, None).tolist() == [1.0, 0.5]
