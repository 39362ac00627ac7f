"""Evaluation on a shop so small that every figure is known."""

import math
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Final

import polars as pl
import pytest

from models.catalogue.snapshot import Snapshot
from models.dataset.faults import DatasetError
from models.domain.event import from_us
from models.domain.sale import Sale
from models.pictures.topics import Topics
from tests.logs import DAY, HOUR, MINUTE, NOON, SECOND, Row, event_table, sale
from tests.priced import SALES, impressions, price_scorer, question_on
from tests.worlds import Silent
from training.evaluation.comparison import Scorers
from training.evaluation.evaluate import Evaluation, evaluate
from training.evaluation.protocol import Protocol, last_of_sessions
from training.evaluation.truth import POSITIONS_FILE, TRUTH_FILE
from training.examples.slates import shown_slates
from training.statistics.difference import Verdict

Figures = dict[str, Scorers]


def evaluation_of(
    log: list[Row],
    directory: Path,
    *,
    sales: tuple[Sale, ...] = SALES,
    dear_first: bool = True,
    start: int = -DAY,
    new_within: int | None = None,
    judged_by: Collection[Protocol] = tuple(Protocol),
) -> Evaluation:
    question = question_on(log, directory, sales=sales, start=start)
    question = replace(question, new_within_us=new_within)
    return evaluate(
        price_scorer(dear_first=dear_first), question, progress=Silent(), protocols=judged_by
    )


def figures_of(
    log: list[Row],
    directory: Path,
    *,
    sales: tuple[Sale, ...] = SALES,
    dear_first: bool = True,
    start: int = -DAY,
    new_within: int | None = None,
    judged_by: Collection[Protocol] = tuple(Protocol),
) -> Figures:
    found = evaluation_of(
        log,
        directory,
        sales=sales,
        dear_first=dear_first,
        start=start,
        new_within=new_within,
        judged_by=judged_by,
    )
    return {name: one.scorers for name, one in found.protocols.items()}


def values(figures: Figures, protocol: str, scorer: str) -> dict[str, float]:
    return {metric: interval.value for metric, interval in figures[protocol][scorer].items()}


# The customer is shown s2, s3, s1 and buys s3: second as shown, first by price, third by cheapness.
BOUGHT: Final = [
    *impressions(0, "s2", "s3", "s1", session="v1", exposure="x1"),
    Row(kind="purchase", at=MINUTE, sale="s3", session="v1"),
]


def test_a_list_is_judged_as_it_was_shown_and_as_each_scorer_orders_it(tmp_path: Path) -> None:
    perfect = figures_of(BOUGHT, tmp_path)
    worst = figures_of(BOUGHT, tmp_path, dear_first=False)

    # All three are among the first ten, and s3 cost 30.
    always = {"recall_at_10": 1.0, "hit_rate_at_10": 1.0, "revenue_at_10": 30.0}
    first, second, third = (
        always
        | {"mrr": 1 / rank, "ndcg_at_10": 1 / math.log2(rank + 1), "hit_rate_at_1": hit, "auc": auc}
        | {"discounted_revenue_at_10": 30.0 / math.log2(rank + 1)}
        for rank, hit, auc in ((1, 1.0, 1.0), (2, 0.0, 0.5), (3, 0.0, 0.0))
    )
    assert values(perfect, "shown", "as_shown") == second
    assert values(perfect, "shown", "meta") == first
    assert values(worst, "shown", "meta") == third


@pytest.mark.parametrize("protocol", list(Protocol))
def test_one_protocol_alone_finds_what_it_finds_beside_the_other(
    tmp_path: Path, protocol: Protocol
) -> None:
    both = figures_of(BOUGHT, tmp_path)

    alone = figures_of(BOUGHT, tmp_path, judged_by={protocol})

    assert set(both) == set(Protocol)
    assert alone == {protocol: both[protocol]}


def test_without_positions_no_order_as_shown_is_made_up(tmp_path: Path) -> None:
    settled = Row(at=2 * DAY, sale="s1", customer="c2")
    log = [*(replace(row, position=None) for row in BOUGHT), settled]

    found = evaluation_of(log, tmp_path)

    shown = found.protocols["shown"].scorers
    assert "as_shown" not in shown
    assert values({"shown": shown}, "shown", "meta")["mrr"] == 1.0
    assert found.reliability.keys() == {"shown_without_position"}


def test_what_was_touched_last_comes_first_and_the_rest_as_shown(tmp_path: Path) -> None:
    """Of s2, s3, s1 they saw s1 an hour ago and s3 a minute ago: s3, s2, s1; they buy s1."""
    log = [
        Row(at=-HOUR, sale="s1"),
        Row(at=-MINUTE, sale="s3"),
        *impressions(0, "s2", "s3", "s1", session="v1", exposure="x1"),
        Row(kind="purchase", at=MINUTE, sale="s1", session="v1"),
    ]

    touched = values(figures_of(log, tmp_path), "shown", "last_touched")["mrr"]
    untouched = values(figures_of(BOUGHT, tmp_path), "shown", "last_touched")["mrr"]

    assert touched == pytest.approx(1 / 3)
    assert untouched == 0.5


def test_who_cannot_tell_sales_apart_gains_nothing_from_how_they_were_shown(
    tmp_path: Path,
) -> None:
    """Of three equal sales the first shown is bought: a third of 400 guesses, to 4 deviations."""
    equal = tuple(sale(f"s{number}", price=10.0) for number in (1, 2, 3))
    log = [
        row
        for visit in range(400)
        for row in (
            *impressions(visit * HOUR, "s2", "s3", "s1", customer=f"c{visit}", session=f"v{visit}"),
            Row(
                kind="purchase",
                at=visit * HOUR + MINUTE,
                sale="s2",
                customer=f"c{visit}",
                session=f"v{visit}",
            ),
        )
    ]

    figures = figures_of(log, tmp_path, sales=equal)

    assert values(figures, "shown", "as_shown")["hit_rate_at_1"] == 1.0
    hits = values(figures, "shown", "meta")["hit_rate_at_1"]
    assert hits == pytest.approx(1 / 3, abs=4 * math.sqrt(2 / 9 / 400))


def test_open_judges_all_sales_that_were_open_then(tmp_path: Path) -> None:
    """s4 is open, too, and dearest; so s3 is second by price and third by cheapness."""
    dear, cheap = (
        values(figures_of(BOUGHT, tmp_path, dear_first=dear), "open", "meta")
        for dear in (True, False)
    )

    assert (dear["mrr"], dear["hit_rate_at_1"]) == (0.5, 0.0)
    assert cheap["mrr"] == pytest.approx(1 / 3)


def test_a_sale_of_which_nothing_is_left_now_was_open_when_it_was_bought(tmp_path: Path) -> None:
    """Its stock of 0 is the last known one: purchases of a sale that sold out still count."""
    gone = tuple(sale(f"s{n}", price=10.0 * n, stock=0 if n == 3 else 5) for n in (1, 2, 3, 4))

    figures = figures_of(BOUGHT, tmp_path, sales=gone)

    assert values(figures, "open", "meta")["mrr"] == 0.5


def test_figures_say_how_many_slates_of_how_many_customers_they_mean(tmp_path: Path) -> None:
    """Two customers with one purchase each: one found first, one second."""
    log = [
        *BOUGHT,
        *impressions(0, "s3", "s2", customer="c2", session="v2", exposure="x2"),
        Row(kind="purchase", at=MINUTE, sale="s2", customer="c2", session="v2"),
    ]

    mrr = figures_of(log, tmp_path)["shown"]["meta"]["mrr"]

    assert (mrr.value, mrr.low, mrr.high, mrr.n) == (0.75, 0.5, 1.0, 2)


def test_the_period_is_from_the_first_list_to_the_last_as_they_were_shown(tmp_path: Path) -> None:
    log = [
        *BOUGHT,
        *impressions(2 * HOUR, "s1", "s2", session="v2", exposure="x2"),
        Row(kind="purchase", at=2 * HOUR + 1, sale="s1", session="v2"),
    ]

    extent = evaluation_of(log, tmp_path).protocols["shown"].extent

    assert (extent.first_us, extent.last_us) == (NOON, NOON + 2 * HOUR)


def test_only_what_was_shown_from_the_start_on_is_judged(tmp_path: Path) -> None:
    log = [
        *BOUGHT,
        *impressions(2 * HOUR, "s1", "s2", session="v2", exposure="x2"),
        Row(kind="purchase", at=2 * HOUR + 1, sale="s1", session="v2"),
    ]

    later = figures_of(log, tmp_path, start=HOUR)

    assert later["shown"]["as_shown"]["mrr"].n == 1
    assert values(later, "shown", "as_shown")["mrr"] == 1.0


def test_where_nothing_was_bought_nothing_is_judged(tmp_path: Path) -> None:
    assert figures_of(impressions(0, "s1", "s2"), tmp_path) == {}
    assert figures_of(BOUGHT, tmp_path, start=DAY) == {}


def test_without_impressions_visits_are_judged_on_open_sales_only(tmp_path: Path) -> None:
    """One visit of c1 that ends in a purchase; c2 looks and goes."""
    log = [
        Row(at=0, sale="s1"),
        Row(kind="purchase", at=2 * HOUR, sale="s4"),
        Row(at=0, sale="s2", customer="c2"),
    ]

    figures = figures_of(log, tmp_path)

    assert figures.keys() == {"open"}
    assert "as_shown" not in figures["open"]
    # The purchase is a visit of its own, with itself as outcome.
    assert figures["open"]["meta"]["mrr"].n == 2
    assert values(figures, "open", "meta")["mrr"] == 1.0


def test_sales_without_prices_markets_pictures_and_visitors_without_sessions_are_judged(
    tmp_path: Path,
) -> None:
    bare = tuple(Sale(sale_id=one.sale_id, opens_at=one.opens_at) for one in SALES)
    log = [*impressions(0, "s1", "s2"), Row(kind="purchase", at=SECOND, sale="s2")]

    figures = figures_of(log, tmp_path, sales=bare)

    assert values(figures, "shown", "as_shown")["mrr"] == 0.5
    assert figures["open"]["random"]["mrr"].n == 1


TRUE: Final = {"s1": 0.5, "s2": 0.1, "s4": 0.2}
KNOWABLE: Final = {"s1": 0.1, "s2": 0.3, "s4": 0.2}


def write_truth(directory: Path, exposure_id: str) -> None:
    frame = pl.DataFrame(
        {
            "exposure_id": [exposure_id],
            "sale_ids": [list(TRUE)],
            "truth": [list(TRUE.values())],
            "knowable": [list(KNOWABLE.values())],
        }
    )
    frame.write_parquet(directory / TRUTH_FILE)
    # Out of order, and steeper than the simulator's own curve.
    examined = pl.DataFrame({"position": [2, 3, 1], "examined": [0.5, 0.25, 1.0]})
    examined.write_parquet(directory / POSITIONS_FILE)


def test_a_world_that_knows_its_truth_is_judged_by_it_without_any_purchase(
    tmp_path: Path,
) -> None:
    """By price s4, s3, s2, s1 with true probabilities 0.2, unknown, 0.1, 0.5."""
    write_truth(tmp_path, "x1")

    figures = figures_of(impressions(0, "s2", "s3", exposure="x1"), tmp_path)

    best = 0.5 + 0.2 / math.log2(3) + 0.1 / 2
    by_price = 0.2 + 0.1 / 2 + 0.5 / math.log2(5)
    knowable = 0.1 + 0.2 / math.log2(3) + 0.5 / 2
    found = {name: values(figures, "open", name)["true_ndcg_at_10"] for name in figures["open"]}
    assert found["truth"] == pytest.approx(1.0)
    assert found["meta"] == pytest.approx(by_price / best)
    assert found["knowable"] == pytest.approx(knowable / best)
    for name in ("truth", "meta", "knowable", "random"):
        assert values(figures, "open", name)["expected_purchases_at_10"] == pytest.approx(0.8)
    assert "mrr" not in figures["open"]["meta"]
    assert "shown" not in figures


def test_slates_that_the_truth_does_not_tell_about_are_judged_by_purchases(
    tmp_path: Path,
) -> None:
    write_truth(tmp_path, "x2")
    log = [*BOUGHT, *impressions(2 * DAY, "s2", "s3", exposure="x2")]

    figures = figures_of(log, tmp_path)["open"]

    assert (figures["meta"]["mrr"].n, figures["meta"]["true_ndcg_at_10"].n) == (1, 1)
    assert "mrr" not in figures["truth"]


def test_a_truth_about_other_visits_is_no_truth(tmp_path: Path) -> None:
    write_truth(tmp_path, "elsewhere")

    figures = figures_of(BOUGHT, tmp_path)["open"]

    assert not figures.keys() & {"truth", "knowable"}
    assert "true_ndcg_at_10" not in figures["meta"]


def test_calibration_takes_examination_by_position_from_the_dataset(tmp_path: Path) -> None:
    """s2 at 1, s3 without a truth at 2, s1 at 3: 0.1 and 0.25 * 0.5 as shown, 0.1 and 0.5 above."""
    write_truth(tmp_path, "x1")
    log = [*BOUGHT, Row(at=2 * DAY, sale="s1", customer="c2")]

    found = evaluation_of(log, tmp_path).reliability

    rates = {name: one.figures["base_rate"].value for name, one in found.items()}
    assert rates["as_shown_against_truth"] == pytest.approx((0.1 + 0.25 * 0.5) / 2)
    assert rates["at_position_1_against_truth"] == pytest.approx((0.1 + 0.5) / 2)
    # Of the open sales the truth is known of s1, s2 and s4.
    assert rates["open_at_position_1_against_truth"] == pytest.approx((0.5 + 0.1 + 0.2) / 3)


def test_a_truth_without_its_examination_curve_is_refused(tmp_path: Path) -> None:
    write_truth(tmp_path, "x1")
    (tmp_path / POSITIONS_FILE).unlink()

    with pytest.raises(DatasetError, match=r"without truth_positions\.parquet: simulate it again"):
        figures_of(BOUGHT, tmp_path)


def test_of_every_session_the_last_list_that_was_bought_from_is_judged() -> None:
    log = [
        *impressions(0, "s1", session="v1"),
        *impressions(HOUR, "s2", session="v1"),
        *impressions(2 * HOUR, "s3", session="v1"),
        *impressions(0, "s1", session="v2", customer="c2"),
        *impressions(0, "s1", customer="c3"),
        *impressions(HOUR, "s2", customer="c3"),
        Row(kind="purchase", at=1, sale="s1"),
        Row(kind="purchase", at=HOUR + 1, sale="s2"),
        Row(kind="purchase", at=1, sale="s1", customer="c3"),
        Row(kind="purchase", at=HOUR + 1, sale="s2", customer="c3"),
    ]
    catalogue = Snapshot.from_sales({one.sale_id: one for one in SALES}, {}).catalogue(
        Topics.none()
    )
    events = event_table(log)

    kept = last_of_sessions(shown_slates(events, catalogue, outcome_us=DAY))

    found = zip(kept.customers.tolist(), (kept.now_us - NOON).tolist(), strict=True)
    # Without sessions, each of the lists of c3 is one of its own.
    assert sorted(found) == [(0, HOUR), (2, 0), (2, HOUR)]


def test_new_sales_are_ranked_among_themselves(tmp_path: Path) -> None:
    """Of the open sales two are an hour old; s3, which is bought, is the dearer one of them."""
    old, new = NOON - 3 * DAY, NOON - HOUR
    opened = {"s1": old, "s2": new, "s3": new, "s4": old}
    sales = tuple(
        sale(sale_id, price=10.0 * number, opens_at=from_us(opens_us))
        for number, (sale_id, opens_us) in enumerate(opened.items(), start=1)
    )

    figures = figures_of(BOUGHT, tmp_path, sales=sales, new_within=DAY)

    assert list(figures) == ["open"]
    assert values(figures, "open", "meta")["hit_rate_at_1"] == 1.0


def test_nothing_is_judged_where_no_sale_is_new(tmp_path: Path) -> None:
    assert figures_of(BOUGHT, tmp_path, new_within=1) == {}


@pytest.mark.parametrize(
    ("cheap_first_reference", "verdict"), [(True, Verdict.BETTER), (False, Verdict.OPEN)]
)
def test_two_bundles_are_compared_slate_by_slate(
    tmp_path: Path, *, cheap_first_reference: bool, verdict: Verdict
) -> None:
    """Eight customers are shown three sales and buy the dearest: first by price, last by cheapness.

    All eight agree, which chance does in 2 of 2 ** 8 cases.
    """
    log = [
        row
        for customer in "abcdefgh"
        for row in (
            *impressions(0, "s2", "s3", "s1", session="v1", exposure=customer, customer=customer),
            Row(kind="purchase", at=MINUTE, sale="s3", session="v1", customer=customer),
        )
    ]
    question = question_on(log, tmp_path)
    reference = replace(price_scorer(dear_first=not cheap_first_reference), bundle_id="b2")

    found = evaluate(price_scorer(), question, progress=Silent(), reference=(reference, question))

    paired = found.paired[Protocol.SHOWN]
    gap = 2 / 3 if cheap_first_reference else 0.0
    assert paired.reference_id == "b2"
    assert (paired.own["mrr"].value, paired.own["mrr"].n) == (1.0, 8)
    assert paired.reference["mrr"].value == pytest.approx(1.0 - gap)
    assert paired.differences["mrr"].interval.value == pytest.approx(gap)
    assert paired.differences["mrr"].verdict is verdict
    assert paired.differences["mrr"].p == (2**-7 if cheap_first_reference else 1.0)
