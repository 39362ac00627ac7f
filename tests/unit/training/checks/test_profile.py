"""The profile of a dataset, computed by hand on a dozen events."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from models.catalogue.catalogue import build_catalogue
from models.dataset import read_dataset
from models.pictures.topics import Topics
from models.recommenders.registry import RECOMMENDERS
from tests.datasets import Row, event, sale, write_dataset
from training.checks.profile import USES, Profile, UnknownSales, profile_of
from training.checks.validation import validate
from training.examples.refit import fit_recommenders
from training.recommenders.interactions import Interactions
from training.recommenders.left_out import without_data

app = typer.Typer()
app.command()(validate)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sales = [
        sale(title="Ski", price="100", stars="3"),
        sale(sale_id="s2", price="90", stars="4"),
        sale(sale_id="s3"),
        sale(sale_id="s4"),
    ]
    shown = [
        event(event_id=f"i{n}", sale_id=f"s{n}", type="impression", position=position)
        for n, position in ((1, "1"), (2, "2"), (3, ""), (4, ""))
    ]
    rest = [
        event(event_id="k1", type="click", session_id="v"),
        event(event_id="b1", type="purchase", revenue="99", at="2025-01-05T00:00:00Z"),
        event(event_id="w1", sale_id="s2", type="view", customer_id="c2"),
        event(event_id="w2", sale_id="s3", type="view", customer_id="c2"),
        event(event_id="q", type="search", sale_id="", customer_id="c2"),
        event(event_id="x", sale_id="unknown", customer_id="c3", at="2030-01-01T00:00:00Z"),
    ]
    return write_dataset(tmp_path_factory.mktemp("shop"), sales=sales, events=[*shown, *rest])


@pytest.fixture(scope="module")
def profile(shop: Path) -> Profile:
    return profile_of(read_dataset(shop))


def test_counts_period_and_rates_are_of_events_of_known_sales(profile: Profile) -> None:
    assert (profile.n_sales, profile.n_customers) == (4, 2)
    assert {name: n for name, n in profile.events.items() if n} == {
        "impression": 4,
        "view": 2,
        "click": 1,
        "purchase": 1,
        "search": 1,
    }
    assert profile.days == 3
    assert profile.rates == {
        "clicks per impression": 1 / 4,
        "purchases per impression": 1 / 4,
        "purchases per view or click": 1 / 3,
        "customers who bought": 1 / 2,
    }


def test_shares_say_what_sales_and_events_have(profile: Profile) -> None:
    assert profile.of_sales == {
        "a text": 1 / 4,
        "a price": 1 / 2,
        "a picture": 0,
        "a category": 0,
        "a country": 0,
        "a destination": 0,
        "a closing time": 0,
        "attributes": 1 / 2,
    }
    assert profile.of_events["impressions with a position"] == 1 / 2
    assert profile.of_events["purchases with a price or revenue"] == 1
    assert profile.of_events["events with a session"] == 1 / 9


def test_every_recommender_says_whether_it_has_data(profile: Profile) -> None:
    assert USES.keys() == RECOMMENDERS.keys()
    usable = {name for name, use in profile.recommenders.items() if use.usable}
    assert usable == RECOMMENDERS.keys() - {
        *("images", "collaborative", "session", "buy_again", "demographic", "bestsellers")
    }
    assert profile.recommenders["images"].reason == "no picture"
    reason = "0 repeat purchases on another day, 10 are needed"
    assert profile.recommenders["buy_again"].reason == reason
    pairs = "1 customers with 2 or more sales"
    assert profile.recommenders["covisitation"].reason == pairs
    condition = "; if these agree, which `train` finds"
    assert profile.recommenders["taste"].reason == f"1 attributes, {pairs}{condition}"
    assert profile.recommenders["text"].reason == f"texts of 25% of sales, {pairs}{condition}"
    for name in ("collaborative", "session"):
        reason = "2 customers with events beyond impressions, 50 are needed"
        assert profile.recommenders[name].reason == reason


def purchases(days: int, *, n_customers: int) -> list[Row]:
    """Purchases of one sale by each customer on several days."""
    return [
        event(
            event_id=f"b{customer}.{day}",
            customer_id=f"c{customer}",
            type="purchase",
            at=f"2025-01-{2 + day:02}T00:00:00Z",
        )
        for customer in range(n_customers)
        for day in range(days)
    ]


def refunded(purchase: Row) -> Row:
    at = purchase["at"].replace("00:00:00", "12:00:00")
    return {**purchase, "event_id": f"r{purchase['event_id']}", "type": "refund", "at": at}


def visits(n_customers: int, *, minutes: int) -> list[Row]:
    """Two of four sales that each customer views, so many minutes apart."""
    return [
        event(
            event_id=f"v{customer}.{number}",
            customer_id=f"c{customer}",
            sale_id=f"s{customer % 2 * 2 + number + 1}",
            type="view",
            at=f"2025-01-02T00:{number * minutes:02}:00Z",
        )
        for customer in range(n_customers)
        for number in range(2)
    ]


@pytest.mark.parametrize(
    ("sales", "events", "names"),
    [
        pytest.param({}, visits(49, minutes=5), {"covisitation"}, id="49 customers"),
        pytest.param(
            {},
            visits(50, minutes=5),
            {"collaborative", "covisitation", "session"},
            id="50 customers",
        ),
        pytest.param(
            {}, visits(50, minutes=45), {"collaborative", "covisitation"}, id="visits of one sale"
        ),
        pytest.param(
            {"country": "IT"}, visits(1, minutes=45), {"content", "covisitation"}, id="it"
        ),
        pytest.param(
            {"destination": "Rome"}, visits(1, minutes=45), {"content", "covisitation"}, id="rome"
        ),
        pytest.param({}, purchases(2, n_customers=10), {"buy_again"}, id="bought again"),
        pytest.param(
            {}, purchases(16, n_customers=1), {"buy_again", "bestsellers"}, id="for over two weeks"
        ),
        pytest.param(
            {},
            [*purchases(2, n_customers=10), refunded(purchases(2, n_customers=1)[1])],
            set[str](),
            id="one of them refunded",
        ),
    ],
)
def test_the_profile_agrees_with_what_training_leaves_out(
    tmp_path: Path, sales: dict[str, str], events: list[Row], names: set[str]
) -> None:
    known = [sale(sale_id=f"s{number}", **sales) for number in range(1, 5)]
    dataset = read_dataset(write_dataset(tmp_path, sales=known, events=events))
    shop = build_catalogue(dataset.sales, {}, topics=Topics.none())
    interactions = Interactions.from_events(dataset.events, shop)
    interactions = interactions.before(int(dataset.events.received_us.max()) + 1)
    left_out = without_data(fit_recommenders(interactions), interactions)

    found = profile_of(dataset).recommenders

    # Whether `taste` and `text` have an axis is not known before they are fitted.
    asked = RECOMMENDERS.keys() - {"popularity", "audience", "taste", "text"}
    assert {name for name in asked if found[name].usable} == names
    assert asked - left_out.keys() == names


def test_sales_that_events_name_and_the_dataset_lacks_are_counted(tmp_path: Path) -> None:
    named = ["a", "b", "b", "c", "c", "c", "d", "d"]
    rows = [event(event_id=f"x{n}", sale_id=sale_id) for n, sale_id in enumerate(named)]
    searched = event(event_id="q", type="search", sale_id="")
    folder = write_dataset(tmp_path, events=[event(), *rows, searched])

    unknown = profile_of(read_dataset(folder)).unknown_sales

    assert unknown == UnknownSales(n_sales=4, n_events=8, most_named=("c", "b", "d"))


def test_a_dataset_without_events_has_a_profile(tmp_path: Path) -> None:
    empty = profile_of(read_dataset(write_dataset(tmp_path, events=[event(sale_id="none")])))

    assert (empty.first, empty.days, empty.rates) == (None, 0, {})
    assert not any(use.usable for use in empty.recommenders.values())


def test_validate_prints_the_profile_within_80_columns_and_as_json(shop: Path) -> None:
    printed = CliRunner().invoke(app, ["--data", str(shop)]).stdout
    report = json.loads(CliRunner().invoke(app, ["--data", str(shop), "--json"]).stdout)

    after = printed[printed.index("customers with events") :]
    assert max(map(len, after.splitlines())) <= 80
    assert "period: 2025-01-02 00:00 to 2025-01-05 00:00 UTC, 3.0 days" in after
    assert "1. a longer history: 1 purchases, aim at 1,000" in after
    assert report["profile"]["events"]["impression"] == 4
    assert report["profile"]["recommenders"]["images"] == {"usable": False, "reason": "no picture"}
    assert report["profile"]["send_next"][0]["worth"] == "decides whether to train at all"
    assert report["profile"]["objective"] == "purchase"
    unknown = {"sales": 1, "events": 1, "most_named": ["unknown"]}
    assert report["profile"]["unknown_sales"] == unknown
