"""Exported covers become rounds and rates, by hand."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from models.catalogue.event_counts import SaleCounts
from models.catalogue.snapshot import Snapshot, content_file, counts_file
from models.covers.cover_choice import CoverPolicy
from models.domain.event import from_us
from models.domain.sale import PictureScores
from models.experiments.exposure_record import FILE_COLUMNS, read_records
from models.pictures.topics import Topics
from tests import shop
from tests.builders import picture
from tests.logs import HOUR, NOON, Row, event_table
from tests.trials import RECORDED, recorded_slate
from tests.unit.models.covers.test_cover_model import MODEL
from training.off_policy.cover_answers import (
    CoverTarget,
    ShownCovers,
    cover_rounds,
    shown_covers,
)
from training.off_policy.cover_rates import cover_rates
from training.off_policy.logged_answers import AnswersError
from training.off_policy.rounds import Rounds

BEACH, ROOM = picture(embedding={0: 1.0}), picture(embedding={1: 1.0})
SALES = [shop.sale(f"s{number}", now_us=NOON) for number in (1, 2)]
PICTURES = {one.sale_id: PictureScores.combine({1: BEACH, 2: ROOM}) for one in SALES}
ROOMS = replace(MODEL, common=np.array([-0.5 * np.log(3.0), 0.0, 0.0]), keys=MODEL.keys[:0])
"""A room has the odds of 3 ** 0.5 to 1 beside a beach: they differ by 1 on the first axis."""

Cover = tuple[int, int, float]
"""Rank, number, propensity."""


def answer(
    name: str, *covers: Cover, sales: Sequence[str] = ("s1", "s2"), **columns: object
) -> dict[str, object]:
    chosen = [
        {"rank": rank, "number": number, "propensity": propensity}
        for rank, number, propensity in covers
    ]
    own = {"recommendation_id": name, "customer_id": f"c-{name}", "now": from_us(NOON)}
    policy = CoverPolicy().model_dump_json()
    covered = {"policy": policy, "shown": chosen} if chosen else None
    given = {**own, "slate": recorded_slate(sales), "covers": covered}
    return {**RECORDED, **given, **columns}


def frame(*answers: dict[str, object]) -> pl.DataFrame:
    return pl.DataFrame(answers, schema=FILE_COLUMNS)


def click(name: str, sale: str) -> Row:
    return Row(kind="click", sale=sale, customer=f"c-{name}", at=HOUR, exposure=name)


def seen(name: str, sale: str, cover: int) -> Row:
    return Row(kind="impression", sale=sale, customer=f"c-{name}", exposure=name, cover=cover)


def found_in(exposures: pl.DataFrame, *events: Row) -> ShownCovers:
    return shown_covers(
        exposures, event_table(events), until_us=NOON + 48 * HOUR, window_us=24 * HOUR
    )


def covers_of(exposures: pl.DataFrame, *events: Row) -> pl.DataFrame:
    """Return covers of which all were seen."""
    impressions = [
        seen(record.recommendation_id, record.slate[one.rank - 1].sale_id, one.number)
        for record in read_records(exposures)
        for one in (record.covers.shown if record.covers else ())
    ]
    return found_in(exposures, *impressions, *events).rows


@pytest.fixture
def snapshots(tmp_path: Path) -> Path:
    snapshot = Snapshot.from_sales({one.sale_id: one for one in SALES}, PICTURES)
    (tmp_path / content_file("c")).write_bytes(snapshot.to_bytes())
    (tmp_path / counts_file("n")).write_bytes(SaleCounts.none(len(SALES)).to_bytes())
    return tmp_path


def rounds_of(
    exposures: pl.DataFrame, snapshots: Path, *events: Row, policy: CoverPolicy | None
) -> Rounds:
    target = CoverTarget(ROOMS, policy)
    rows = covers_of(exposures, *events)
    return cover_rounds(rows, exposures, target=target, snapshots=snapshots, topics=Topics.none())


def test_a_shown_cover_is_a_round_with_the_probability_of_each_policy(snapshots: Path) -> None:
    """At a temperature of 0.5 odds of 3 ** 0.5 to 1 are drawn 3 to 1."""
    exposures = frame(answer("a", (1, 2, 0.5), (2, 1, 0.25)))
    policy = CoverPolicy(temperature=0.5, even_share=0.0)

    rounds = rounds_of(exposures, snapshots, click("a", "s1"), policy=policy)

    assert rounds.rewards.tolist() == [[1.0], [0.0]]
    assert rounds.logging.tolist() == [[0.5], [0.25]]
    np.testing.assert_allclose(rounds.target, [[0.75], [0.25]])
    # Of the first rank one click was logged, of the second none.
    assert rounds.predicted.ravel().tolist() == pytest.approx([1.0, 0.0])
    odds = np.array([1.0, np.sqrt(3.0)])
    expected = float(np.array([0.25, 0.75]) @ odds) / odds[1]
    assert rounds.expected.ravel().tolist() == pytest.approx([expected, 0.0])
    assert len(set(rounds.units.tolist())) == 1


def test_first_pictures_are_a_policy_too(snapshots: Path) -> None:
    exposures = frame(answer("a", (1, 2, 0.5), (2, 1, 0.25)))

    rounds = rounds_of(exposures, snapshots, policy=None)

    assert rounds.target.tolist() == [[0.0], [1.0]]


def test_sales_whose_cover_was_not_chosen_are_no_round(snapshots: Path) -> None:
    exposures = frame(answer("a", (2, 1, 0.25)), answer("b"))

    rounds = rounds_of(exposures, snapshots, click("a", "s2"), click("b", "s1"), policy=None)

    assert rounds.rewards.tolist() == [[1.0]]


def test_a_picture_that_the_snapshot_does_not_have_is_named(snapshots: Path) -> None:
    with pytest.raises(AnswersError, match="answer a shows a picture"):
        rounds_of(frame(answer("a", (1, 7, 0.5))), snapshots, policy=None)


def test_covers_that_no_impression_names_do_not_count(snapshots: Path) -> None:
    """Of four covers one was seen: no impression came, or of another answer or picture."""
    second = answer("b", (1, 2, 0.5), (2, 2, 0.5))
    exposures = frame(answer("a", (1, 2, 0.5), (2, 1, 0.25)), second)
    events = [seen("a", "s2", 1), seen("c", "s1", 2), seen("b", "s2", 1), click("a", "s1")]

    found = found_in(exposures, *events)

    kept = found.rows.select("recommendation_id", "sale_id", "number", "propensity", "clicked")
    assert kept.rows() == [("a", "s2", 1, 0.25, 0.0)]
    assert found.not_seen == 3
    target = CoverTarget(ROOMS, None)
    rounds = cover_rounds(
        found.rows, exposures, target=target, snapshots=snapshots, topics=Topics.none()
    )
    assert (rounds.logging.tolist(), rounds.target.tolist()) == ([[0.25]], [[1.0]])


def test_a_click_without_an_answer_is_of_the_last_that_was_seen() -> None:
    """Answer b is later, and was only asked for."""
    exposures = frame(
        answer("a", (1, 1, 0.5)),
        answer("b", (1, 1, 0.5), now=from_us(NOON + HOUR // 2), customer_id="c-a"),
    )
    unnamed = Row(kind="click", sale="s1", customer="c-a", at=HOUR)

    found = found_in(exposures, seen("a", "s1", 1), unnamed)

    assert found.rows.select("recommendation_id", "clicked").rows() == [("a", 1.0)]


def test_previews_degraded_answers_and_open_windows_are_left_out_and_counted() -> None:
    forced = {"experiment": "e", "variant": "v", "unit": "customer", "unit_id": "u"}
    assignment = {**forced, "share_bp": 5_000, "is_forced": True}
    late = from_us(NOON + 30 * HOUR)
    left_out = [
        answer("a", (1, 1, 0.5), assignments=[assignment]),
        answer("b", (1, 1, 0.5), now=late),
        answer("d", (1, 1, 0.5), degraded="remembered"),
        answer("e"),
    ]
    kept = answer("c", (1, 1, 0.5), filter="price < 3", candidates=["s1"])
    impressions = [seen(name, "s1", 1) for name in "abcd"]

    found = found_in(frame(*left_out, kept), *impressions)

    assert found.rows["recommendation_id"].to_list() == ["c"]
    assert found.left_out == {"forced": 1, "degraded": 1, "no_covers": 1, "window_not_over": 1}
    assert found.not_seen == 0
    with pytest.raises(AnswersError, match=r"1 forced, 1 degraded, .*--window-hours"):
        found_in(frame(*left_out), *impressions)
    with pytest.raises(AnswersError, match="1 covers without an impression"):
        found_in(frame(kept))


def test_rates_weigh_what_was_rarely_shown() -> None:
    """Of picture 1: clicks of propensity 0.5 and 0.25, and one miss of 0.25: (2 + 4) / 10."""
    rows = covers_of(
        frame(
            answer("a", (1, 1, 0.5), device="phone"),
            answer("b", (1, 1, 0.25), device="tv"),
            answer("d", (1, 1, 0.25), device="tv"),
            answer("e", (1, 2, 0.75), device="tv"),
        ),
        click("a", "s1"),
        click("b", "s1"),
    )

    found = {(one.segment, one.number): one for one in cover_rates(rows, min_clicks=1)}

    assert set(found) == {("all", 1), ("device=phone", 1), ("device=tv", 1)}
    whole = found["all", 1]
    assert (whole.shown, whole.clicks) == (3, 2)
    assert whole.rate.value == pytest.approx(0.6)
    # Residuals 2 * 0.4, 4 * 0.4 and -4 * 0.6, over weights of 10.
    error = np.sqrt(0.8**2 + 1.6**2 + 2.4**2) / 10
    assert whole.rate.low == pytest.approx(0.6 - 1.96 * error, abs=1e-3)
    assert found["device=tv", 1].rate.value == pytest.approx(0.5)


def test_a_best_picture_is_above_the_others_of_its_sale_with_its_whole_interval() -> None:
    """Of 400 each, 200 clicks against 40 are no chance; 40 against 44 may be."""
    answers, events = list[dict[str, object]](), list[Row]()
    for number, clicks in ((1, 40), (2, 200), (3, 44)):
        for one in range(400):
            name = f"{number}-{one}"
            answers.append(answer(name, (1, number, 1 / 3)))
            events += [click(name, "s1")] * (one < clicks)

    found = cover_rates(covers_of(frame(*answers), *events))

    assert [(one.number, one.is_best) for one in found] == [(1, False), (2, True), (3, False)]
