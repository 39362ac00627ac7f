"""Exported answers of a small shop become rounds; rewards are credited by hand-made events."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from models.catalogue.event_counts import SaleCounts
from models.catalogue.snapshot import Snapshot, content_file, counts_file
from models.domain.event import from_us
from models.experiments.exposure_record import FILE_COLUMNS
from models.slate.slate_policy import Exploration, NewSaleSlots, PlackettLuce, SlatePolicy
from tests import shop
from tests.logs import HOUR, NOON, Row, event_table, merged_log
from tests.trials import INTERLEAVED, RECORDED, recorded_slate
from tests.worlds import Silent
from training.off_policy.logged_answers import (
    AnswersError,
    Setting,
    at_own_temperature,
    judged,
    learned_from,
    rounds_of,
)
from training.off_policy.policy_value import value_policy
from training.off_policy.reward import Reward, rewards_of
from training.off_policy.rounds import Rounds
from training.off_policy.support import NoAnswersError, NoSupportError, NoTemperatureError
from training.off_policy.target import TargetError, TargetPolicy

SALES = [shop.sale(f"s{number}", now_us=NOON, price=100.0 * number) for number in range(1, 4)]
EVEN = SlatePolicy(exploration=PlackettLuce(temperature=1.0))
BEST_FIRST = SlatePolicy()

FORCED = {"experiment": "ab", "variant": "new", "share_bp": 5_000, "is_forced": True}


def answer(
    name: str, *slate: str, propensities: Sequence[float] = (), **columns: object
) -> dict[str, object]:
    """One row of the file of exposures, at `NOON`."""
    chances = propensities or [1 / 3, 1 / 2, 1.0][: len(slate)]
    own = {
        "recommendation_id": name,
        "customer_id": name,
        "now": from_us(NOON),
        "slate": recorded_slate(slate, chances),
    }
    return {**RECORDED, **own, **columns}


@pytest.fixture
def snapshots(tmp_path: Path) -> Path:
    """The files that a service keeps of the catalogue of the three sales."""
    snapshot = Snapshot.from_sales({sale.sale_id: sale for sale in SALES}, {})
    counts = SaleCounts.none(len(SALES))
    (tmp_path / content_file("c")).write_bytes(snapshot.to_bytes())
    (tmp_path / counts_file("n")).write_bytes(counts.to_bytes())
    return tmp_path


def test_a_content_that_was_written_upon_another_is_read(snapshots: Path) -> None:
    """As a service writes nearly all of them."""
    base = Snapshot.from_sales({sale.sale_id: sale for sale in SALES[:2]}, {})
    whole = Snapshot.from_sales({sale.sale_id: sale for sale in SALES}, {})
    answers = [answer("a", "s2", "s1", propensities=[0.5, 0.25])]
    expected = log_of(answers, snapshots)
    (snapshots / content_file(base.id)).write_bytes(base.to_bytes())
    (snapshots / content_file("c")).write_bytes(whole.to_bytes(base=base))

    rounds = log_of(answers, snapshots)

    np.testing.assert_array_equal(rounds.target, expected.target)


def log_of(
    answers: list[dict[str, object]],
    snapshots: Path,
    *events: Row,
    policy: SlatePolicy = EVEN,
    reward: Reward = Reward.CLICKS,
) -> Rounds:
    frame = pl.DataFrame(answers, schema=FILE_COLUMNS)
    chosen = judged(frame, until_us=NOON + 48 * HOUR, window_us=24 * HOUR)
    target = TargetPolicy(shop.scorer(), policy, by_price=reward is Reward.REVENUE)
    setting = Setting(target, snapshots, reward, 24 * HOUR, seed=0)
    return rounds_of(chosen.answers, event_table(events), setting=setting, progress=Silent())


def click(sale: str, customer: str, *, at: int = HOUR, exposure: str | None = None) -> Row:
    return Row(kind="click", sale=sale, customer=customer, at=at, exposure=exposure)


def test_a_policy_that_draws_evenly_has_the_probabilities_of_drawing_evenly(
    snapshots: Path,
) -> None:
    """The model thinks the three sales alike: at temperature 1 each order is as likely."""
    rounds = log_of([answer("a", "s2", "s1", propensities=[0.5, 0.25])], snapshots)

    np.testing.assert_allclose(rounds.target, [[1 / 3, 1 / 2]])
    np.testing.assert_allclose(rounds.logging, [[0.5, 0.25]])


def test_a_policy_without_chance_shows_its_slate_and_no_other(snapshots: Path) -> None:
    """Of equal scores the first row is first: s1, s2, s3 in the order of their keys."""
    order = [sale.sale_id for sale in Snapshot.from_sales({s.sale_id: s for s in SALES}, {}).sales]
    answers = [answer("a", *order), answer("b", order[0], order[2], order[1])]

    rounds = log_of(answers, snapshots, policy=BEST_FIRST)

    np.testing.assert_array_equal(rounds.target, [[1, 1, 1], [1, 0, 0]])


def test_a_policy_as_served_draws_a_share_and_shows_its_order_else(snapshots: Path) -> None:
    """A tenth is drawn evenly; the order is that of the keys. Sales of 100, 200 and 300.

    By position 1: 0.9 of the first sale and 0.1 of the mean. Below the first sale the slate is
    drawn with a probability of (0.1 / 3) / (0.9 + 0.1 / 3); below another one certainly.
    """
    served = SlatePolicy(exploration=PlackettLuce(temperature=1.0, share=0.1))
    order = [sale.sale_id for sale in Snapshot.from_sales({s.sale_id: s for s in SALES}, {}).sales]
    assert order == ["s1", "s2", "s3"]
    answers = [answer("a", "s1", "s2"), answer("b", "s2", "s1")]
    bought = Row(kind="purchase", sale="s1", customer="a", at=HOUR, exposure="a", revenue=100.0)
    also = Row(kind="purchase", sale="s1", customer="b", at=HOUR, exposure="b", revenue=100.0)

    rounds = log_of(answers, snapshots, bought, also, policy=served, reward=Reward.REVENUE)

    below = (0.1 / 3) / (0.9 + 0.1 / 3)
    np.testing.assert_allclose(
        rounds.target, [[0.9 + 0.1 / 3, 1 - below + below / 2], [0.1 / 3, 1 / 2]]
    )
    worth = rounds.predicted[0, 0] / 100
    np.testing.assert_allclose(rounds.expected[:, 0], worth * (0.9 * 100 + 0.1 * 200))
    worth = rounds.predicted[0, 1] / 200
    np.testing.assert_allclose(
        rounds.expected[:, 1], [worth * ((1 - below) * 200 + below * 250), worth * 200]
    )


def test_predictions_are_as_large_as_what_was_logged_at_each_position(snapshots: Path) -> None:
    """Two slates, one click at position 1: sales alike are worth half a click there."""
    answers = [answer("a", "s1", "s2"), answer("b", "s3", "s1")]

    rounds = log_of(answers, snapshots, click("s3", "b", exposure="b"))

    np.testing.assert_array_equal(rounds.rewards, [[0, 0], [1, 0]])
    for column in (rounds.predicted, rounds.expected, rounds.direct):
        np.testing.assert_allclose(column, [[0.5, 0], [0.5, 0]])


def test_a_shorter_slate_lacks_its_last_positions(snapshots: Path) -> None:
    rounds = log_of([answer("a", "s1", "s2"), answer("b", "s3")], snapshots)

    np.testing.assert_allclose(rounds.target[:, 1], [1 / 2, 1])
    np.testing.assert_allclose(rounds.logging[:, 1], [1 / 2, 1])


def test_the_log_of_a_policy_gives_it_the_value_that_was_logged(snapshots: Path) -> None:
    names = [f"c{number}" for number in range(120)]
    answers = [answer(name, "s1", "s3") for name in names]
    clicks = [click("s3", name, exposure=name) for name in names[:30]]

    valuation = value_policy(log_of(answers, snapshots, *clicks), seed=0)

    assert valuation.logged.value == 0.25
    assert [one.value for one in valuation.target.values()] == pytest.approx([0.25] * 6)


def test_answers_made_without_chance_say_nothing_of_a_policy_that_draws(snapshots: Path) -> None:
    answers = [answer(f"c{number}", "s1", propensities=[1.0]) for number in range(150)]

    with pytest.raises(NoSupportError, match="150 of 150 logged slates were made without chance"):
        value_policy(log_of(answers, snapshots), seed=0)


def test_interleaved_answers_do_not_refuse_the_log_of_the_others(snapshots: Path) -> None:
    """The upper one of a pair has a coin, the lower one is certain; the rest drew evenly."""
    answers = [answer(f"c{number}", "s1", "s3") for number in range(120)]
    clicks = [click("s3", f"c{number}", exposure=f"c{number}") for number in range(30)]
    both = [
        answer(f"i{number}", "s1", "s2", propensities=[0.5, 1.0], interleaving=INTERLEAVED)
        for number in range(12)
    ]

    rounds = log_of([*answers, *both], snapshots, *clicks)

    assert len(rounds) == 120
    valuation = value_policy(rounds, seed=0)
    assert [one.value for one in valuation.target.values()] == pytest.approx([0.25] * 6)
    assert valuation.support.unsupported == 0.0


def explored(number: int, exploration: Exploration | None) -> dict[str, object]:
    text = None if exploration is None else exploration.model_dump_json()
    return {**answer(f"c{number}", "s1"), "exploration": text}


def test_a_target_has_the_temperature_of_the_log() -> None:
    drawn = PlackettLuce(temperature=0.3, share=0.02)
    explorations = (drawn, drawn, None, NewSaleSlots(), PlackettLuce(temperature=0.3))
    answers = [explored(number, one) for number, one in enumerate(explorations)]
    log = judged(pl.DataFrame(answers, schema=FILE_COLUMNS), until_us=NOON + 48 * HOUR, window_us=0)

    chosen, temperature = at_own_temperature(log)

    assert temperature == 0.3
    assert chosen.answers.height == 3
    assert chosen.left_out["not_drawn"] == 2


@pytest.mark.parametrize(("temperatures", "listed"), [((), "none"), ((1.0, 0.1), "0.1, 1")])
def test_a_log_of_no_or_of_several_temperatures_asks_for_one(
    temperatures: tuple[float, ...], listed: str
) -> None:
    drawn = [PlackettLuce(temperature=one) for one in temperatures]
    answers = [explored(number, one) for number, one in enumerate([None, *drawn])]
    log = judged(pl.DataFrame(answers, schema=FILE_COLUMNS), until_us=NOON + 48 * HOUR, window_us=0)

    with pytest.raises(NoTemperatureError, match=f"answers have {listed}: give --temperature"):
        at_own_temperature(log)


def test_answers_that_cannot_be_judged_are_counted_by_reason() -> None:
    answers = [
        answer("kept", "s1"),
        answer("low", "s1", degraded="popularity"),
        answer("preview", "s1", assignments=[FORCED]),
        answer("own", "s1", candidates=["s1"]),
        answer("both", "s1", "s2", interleaving=INTERLEAVED),
        answer("asked", "s1", filter="price < 3"),
        answer("ruled", "s1", rules='[{"name": "r"}]'),
        answer("page", "s1", rows=[{"row": None, "n_items": 1, "because_of": None}]),
        answer("none"),
        answer("late", "s1", now=from_us(NOON + 25 * HOUR)),
    ]
    frame = pl.DataFrame(answers, schema=FILE_COLUMNS)

    chosen = judged(frame, until_us=NOON + 48 * HOUR, window_us=24 * HOUR)

    assert chosen.answers["recommendation_id"].to_list() == ["kept"]
    assert chosen.left_out == {
        "degraded": 1,
        "forced": 1,
        "own_candidates": 1,
        "interleaved": 1,
        "filtered": 1,
        "ruled": 1,
        "page": 1,
        "empty": 1,
        "window_not_over": 1,
    }


def test_a_log_of_which_every_answer_is_left_out_says_why() -> None:
    rows = [answer("a", "s1", rules="[]"), answer("b", "s1", rules="[]"), answer("none")]
    frame = pl.DataFrame(rows, schema=FILE_COLUMNS)

    with pytest.raises(NoAnswersError, match=r"judged \(2 ruled, 1 empty\): .* interleaving"):
        judged(frame, until_us=NOON + 48 * HOUR, window_us=24 * HOUR)


def test_answers_of_before_the_end_of_the_bundle_s_data_are_warned_of() -> None:
    times = pl.Series([NOON - 1, NOON, NOON + HOUR])

    assert learned_from(times, from_us(NOON - 1).isoformat()) is None
    warning = learned_from(times, from_us(NOON).isoformat())
    assert warning is not None
    assert warning.startswith("these figures flatter: 1 of 3 answers")


def test_a_file_without_a_needed_column_is_refused() -> None:
    frame = pl.DataFrame([answer("a", "s1")], schema=FILE_COLUMNS).drop("window", "slate")

    with pytest.raises(AnswersError, match="lack the columns window, slate"):
        judged(frame, until_us=NOON, window_us=HOUR)


def test_a_shown_sale_that_was_no_candidate_is_refused(snapshots: Path) -> None:
    with pytest.raises(AnswersError, match="answer a shows 's1', which its snapshot does not"):
        log_of([answer("a", "s2", "s1", exclude=["s1"])], snapshots)


def test_a_missing_snapshot_is_named(tmp_path: Path) -> None:
    with pytest.raises(AnswersError, match=r"content-c\.npz is missing"):
        log_of([answer("a", "s1")], tmp_path)


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (SlatePolicy(order_by="nobody"), "no policy 'nobody'; this bundle has meta,"),
        (SlatePolicy(exploration=NewSaleSlots()), "explores by Plackett-Luce"),
        (SlatePolicy(diversity=0.5, exploration=PlackettLuce(temperature=1)), "without diversity"),
    ],
)
def test_a_policy_whose_probabilities_nobody_can_tell_is_refused(
    policy: SlatePolicy, message: str
) -> None:
    with pytest.raises(TargetError, match=message):
        TargetPolicy(shop.scorer(), policy)


SHOWN = pl.DataFrame(
    {
        "recommendation_id": ["a", "a", "b"],
        "customer_id": ["c1", "c1", "c1"],
        "sale_id": ["s1", "s2", "s1"],
        "now_us": [NOON, NOON, NOON + 2 * HOUR],
    }
)


@pytest.mark.parametrize(
    ("events", "credited"),
    [
        pytest.param([click("s1", "c1", at=3 * HOUR, exposure="a")], [1, 0, 0], id="named"),
        pytest.param([click("s1", "c1", at=3 * HOUR)], [0, 0, 1], id="last that showed it"),
        pytest.param([click("s1", "c1", at=3 * HOUR, exposure="x")], [0, 0, 0], id="of another"),
        pytest.param([click("s2", "c1", at=3 * HOUR, exposure="b")], [0, 0, 0], id="not in it"),
        pytest.param([click("s1", "c1", at=HOUR)], [1, 0, 0], id="not one that came later"),
        pytest.param([click("s2", "c1", at=3 * HOUR)], [0, 1, 0], id="only what was shown"),
        pytest.param([click("s1", "c2", at=3 * HOUR)], [0, 0, 0], id="another customer"),
        pytest.param([click("s2", "c1", at=25 * HOUR)], [0, 0, 0], id="too late"),
        pytest.param([click("s1", "c1", at=-HOUR)], [0, 0, 0], id="before"),
        pytest.param([click("s2", "c1"), click("s2", "c1", at=2 * HOUR)], [0, 1, 0], id="once"),
        pytest.param([Row(kind="purchase", sale="s2", at=HOUR)], [0, 0, 0], id="another type"),
    ],
)
def test_a_click_is_credited_to_one_answer(events: list[Row], credited: list[int]) -> None:
    table = event_table(events)

    rewards = rewards_of(SHOWN, table, reward=Reward.CLICKS, window_us=24 * HOUR)

    np.testing.assert_array_equal(rewards, credited)


@pytest.mark.parametrize(("guest", "customer"), [("c1", "c9"), ("c9", "c1")])
def test_a_click_of_one_who_was_a_guest_is_credited_to_what_either_was_shown(
    guest: str, customer: str
) -> None:
    table = merged_log([click("s2", "c9", at=HOUR)], [(guest, customer, HOUR)])

    rewards = rewards_of(SHOWN, table, reward=Reward.CLICKS, window_us=24 * HOUR)

    np.testing.assert_array_equal(rewards, [0, 1, 0])


def test_revenue_is_what_was_paid_else_the_price_times_the_number() -> None:
    """Two purchases of s2 for 30 and for 2 at 10, one of s1, whose price is unknown."""
    bought = [Row(kind="purchase", sale=sale, at=HOUR) for sale in ("s2", "s2", "s1")]
    table = replace(
        event_table(bought),
        revenues=np.array([30.0, np.nan, np.nan]),
        prices=np.array([1.0, 10.0, np.nan]),
        quantities=np.array([1, 2, 1], dtype=np.int32),
    )
    order = table.sale_ids.values.gather(table.sale_ids.codes).to_list()

    rewards = rewards_of(SHOWN, table, reward=Reward.REVENUE, window_us=24 * HOUR)

    assert order == ["s2", "s2", "s1"]
    np.testing.assert_array_equal(rewards, [0, 50, 0])
