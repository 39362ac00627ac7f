"""Advice: what a dataset lacks, what decides whether anything is learned first."""

from pathlib import Path

from models.dataset import read_dataset
from tests.datasets import Row, event, sale, write_dataset
from training.checks.advice import Advice, advice_for
from training.checks.profile import profile_of


def advice(folder: Path, *, events: list[Row], sales: list[Row] | None = None) -> list[Advice]:
    written = write_dataset(folder, sales=sales or [sale()], events=events)
    return advice_for(profile_of(read_dataset(written)))


def many(n: int, **columns: str) -> list[Row]:
    """Events of as many customers."""
    of = columns.get("sale_id", "s1") + columns["type"]
    return [event(event_id=f"{of}{one}", customer_id=f"c{one}", **columns) for one in range(n)]


def test_what_was_worth_most_comes_first(tmp_path: Path) -> None:
    shown = many(4, type="impression", position="1")
    clicked = many(4, type="click")
    sales = [sale(price="100", stars="3")]

    given = advice(tmp_path, events=[*shown, *clicked, *many(20, type="purchase")], sales=sales)

    assert [one.what.split(":")[0] for one in given] == [
        "a longer history",
        "pictures of sales, in images/",
        "titles and descriptions",
        "session_id",
        "market and device",
    ]


def test_a_shop_without_impressions_is_asked_for_them(tmp_path: Path) -> None:
    given = advice(tmp_path, events=many(20, type="purchase"))

    assert given[0].what == "a longer history: 20 purchases, aim at 1,000"
    assert given[1].what.startswith("impressions")


def test_of_a_shop_that_logs_clicks_alone_the_clicks_are_its_outcomes(tmp_path: Path) -> None:
    """`train` learns clicks there: asking for purchases would hide that it can begin."""
    given = advice(tmp_path, events=many(999, type="click"))

    assert given[0].what == "a longer history: 999 clicks or purchases, aim at 1,000"
    assert [one.what.split(",")[0] for one in given[1:3]] == [
        "impressions: what was shown",
        "purchases",
    ]


def test_a_thousand_outcomes_are_enough(tmp_path: Path) -> None:
    clicks = many(995, type="click")

    given = advice(tmp_path, events=[*clicks, *many(5, type="purchase")])

    assert not any("history" in one.what for one in given)


def test_sales_that_are_missing_are_named_by_how_often_they_are(tmp_path: Path) -> None:
    """Their events are there already, and only wait for the sale."""
    missing = [*many(3, type="purchase", sale_id="rare"), *many(7, type="view", sale_id="usual")]

    given = advice(tmp_path, events=[*many(90, type="purchase"), *missing])

    assert given[1] == Advice(
        "sales that events name and `sales` lacks (2): usual, rare",
        "no model learns from their events",
        "10 of 100 events (10%) more",
    )


def test_a_single_slip_among_many_events_is_no_advice(tmp_path: Path) -> None:
    """The faults name it."""
    one = many(1, type="view", sale_id="slip")

    given = advice(tmp_path, events=[*many(99, type="purchase"), *one])

    assert not any("lacks" in each.what for each in given)
