"""Pages: rows of their kinds, no sale twice, exact propensities, next pages that partition."""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from app.api.schema.cursor import next_cursor, read_cursor
from models.catalogue.catalogue import Catalogue
from models.catalogue.eligible_sales import EligibleSalesCache
from models.domain.event import EventType, from_us, key
from models.domain.profile import Profile
from models.domain.sale import Sale
from models.domain.units import DAY_US, HOUR_US
from models.query.candidates import CallerChoice, candidate_query
from models.query.query import Context, Query
from models.rules.rule import SlateRules
from models.scoring.scorer import Scores
from models.slate.exploration import seed_from
from models.slate.page import PageRow, PageSlate, RowKind
from models.slate.slate import fallback_page, make_page
from models.slate.slate_policy import NewSaleSlots, PlackettLuce, SlatePolicy
from tests.builders import NOW_US, catalogue, query, sale, window
from tests.proofs import Proof

HOUR_S = 3600.0


def scores(probabilities: Sequence[float]) -> Scores:
    found = np.array(probabilities, dtype=np.float64)
    nothing = np.full(len(found), np.nan)
    empty = np.empty((len(found), 0), dtype=np.float32)
    return Scores(found, found, empty, nothing, nothing, nothing)


def page_of(
    asked: Query,
    probabilities: Sequence[float],
    rows: Sequence[PageRow],
    *,
    policy: SlatePolicy | None = None,
    seed: str = "a",
) -> PageSlate:
    scored = scores(probabilities)
    return make_page(
        asked,
        scored,
        rows=rows,
        orders=[scored.order] * len(rows),
        policy=policy or SlatePolicy(),
        seed=seed_from(seed),
    )


def ids(page: PageSlate, asked: Query) -> list[list[str]]:
    """The sales of each row."""
    return [
        [one.sale_id for one in sales_at(asked.catalogue, asked.rows[row.slate.picks])]
        for row in page.rows
    ]


def sales_at(of: Catalogue, rows: NDArray[np.int64]) -> list[Sale]:
    places: list[int] = rows.tolist()
    return [of.sales[place] for place in places]


class TestKinds:
    SHOP = catalogue(
        sale("old", opens_at=from_us(NOW_US - 5 * DAY_US), closes_at=None),
        sale("new", opens_at=from_us(NOW_US - 3 * HOUR_US), closes_at=None),
        sale("ends", opens_at=from_us(NOW_US - 5 * DAY_US), closes_at=from_us(NOW_US + HOUR_US)),
        sale("rome", destination="Rome", category="city", country="IT", closes_at=None),
        sale("rome-2", destination="Rome", category="spa", closes_at=None),
        sale("milan", destination="Milan", category="city", country="IT", closes_at=None),
        sale("paris", destination="Paris", category="city", country="FR", closes_at=None),
    )

    def filled(self, row: PageRow, *, customer: Query) -> tuple[list[str], int | None]:
        page = page_of(customer, [0.5] * len(customer.rows), [row])
        return sorted(ids(page, customer)[0]), page.rows[0].because_of

    def test_rows_of_openings_and_closings_are_of_their_hours(self) -> None:
        """Sales of cities opened an hour ago; those without a closing never close soon."""
        asked = query(self.SHOP)

        opened = self.filled(PageRow("a", RowKind.OPENING_NOW, hours=2.0), customer=asked)
        earlier = self.filled(PageRow("a", RowKind.OPENING_NOW, hours=4.0), customer=asked)
        closing = self.filled(PageRow("a", RowKind.CLOSING_SOON, hours=2.0), customer=asked)

        assert opened == (["milan", "paris", "rome", "rome-2"], None)
        assert earlier == (["milan", "new", "paris", "rome", "rome-2"], None)
        assert closing == (["ends"], None)

    @pytest.mark.parametrize(
        ("kind", "event"),
        [
            (RowKind.BECAUSE_YOU_LOOKED, EventType.CLICK),
            (RowKind.LIKE_WHAT_YOU_BOUGHT, EventType.PURCHASE),
        ],
    )
    def test_rows_of_a_customer_are_like_their_last_sale(
        self, kind: RowKind, event: EventType
    ) -> None:
        """Like Rome are its other sale, and the city in its country; Paris is in another."""
        events = [(event, "paris", 2 * HOUR_S), (event, "rome", HOUR_S)]
        asked = query(self.SHOP, *events, (EventType.CART, "paris", 60.0))

        found, because_of = self.filled(PageRow("a", kind), customer=asked)

        assert found == ["milan", "rome-2"]
        assert because_of is not None
        assert self.SHOP.sales[because_of].sale_id == "rome"

    def test_what_was_refunded_is_no_reason_for_a_row(self) -> None:
        """Paris was bought last and refunded: the row is like Rome, bought before."""
        bought = [(EventType.PURCHASE, "rome", 3 * HOUR_S), (EventType.PURCHASE, "paris", 600.0)]
        asked = query(self.SHOP, *bought, (EventType.REFUND, "paris", 60.0))

        found = self.filled(PageRow("a", RowKind.LIKE_WHAT_YOU_BOUGHT), customer=asked)[0]

        assert found == ["milan", "rome-2"]

    @pytest.mark.parametrize("kind", [RowKind.BECAUSE_YOU_LOOKED, RowKind.LIKE_WHAT_YOU_BOUGHT])
    def test_a_customer_without_events_has_no_such_row(self, kind: RowKind) -> None:
        assert self.filled(PageRow("a", kind), customer=query(self.SHOP)) == ([], None)

    def test_a_filter_holds_beside_the_kind(self) -> None:
        row = PageRow("a", RowKind.OPENING_NOW, hours=4.0, filter='category == "city"')

        assert self.filled(row, customer=query(self.SHOP))[0] == ["milan", "paris", "rome"]


FIVE = [sale(f"s{n}", category="ab"[n % 2]) for n in range(5)]


def test_a_row_of_too_few_leaves_its_sales_to_later_rows() -> None:
    asked = query(catalogue(*FIVE))
    probabilities = [0.1 * (1 + int(one.sale_id[1])) for one in asked.catalogue.sales]
    rows = [
        PageRow("top", limit=1),
        PageRow("few", filter='category == "a"', min_items=3),
        PageRow("rest", limit=3),
    ]

    assert ids(page_of(asked, probabilities, rows), asked) == [["s4"], [], ["s3", "s2", "s1"]]


def test_rules_hold_in_every_row_and_pins_in_the_first() -> None:
    asked = query(catalogue(*FIVE))
    probabilities = [0.1 * (1 + int(one.sale_id[1])) for one in asked.catalogue.sales]
    rules = SlateRules.model_validate(
        [
            {"name": "no", "where": 'sale_id == "s3"', "action": {"kind": "exclude"}},
            {
                "name": "pin",
                "where": 'sale_id in ["s0", "s1"]',
                "action": {"kind": "pin", "rank": 1},
            },
            {"name": "one-a-row", "action": {"kind": "at_most", "n": 1, "per": "category"}},
        ]
    )
    rows = [PageRow("first", limit=2), PageRow("second", limit=5)]

    page = page_of(asked, probabilities, rows, policy=SlatePolicy(rules=rules))
    order = np.array(probabilities)
    without = fallback_page(asked, order, rows=rows, rules=rules)

    # s1 is pinned before s0, which is less likely; of each row one is of a and one of b.
    assert ids(page, asked) == [["s1", "s4"], ["s2"]]
    assert page.slate.rules == (("pin",), (), ())
    assert ids(without, asked) == [["s1", "s4"], ["s2"]]


def test_rules_of_a_row_hold_in_it_alone_behind_those_of_the_policy() -> None:
    """Also without a model: s2 is pinned in the second row, where no more than two of a stand."""
    asked = query(catalogue(*FIVE))
    probabilities = [0.1 * (1 + int(one.sale_id[1])) for one in asked.catalogue.sales]
    excluded = [{"name": "no", "where": 'sale_id == "s1"', "action": {"kind": "exclude"}}]
    pin = {"name": "pin", "where": 'sale_id in ["s1", "s0"]', "action": {"kind": "pin", "rank": 1}}
    few = {"name": "few", "where": 'sale_id != "s0"', "action": {"kind": "at_most", "n": 1}}
    own = SlateRules.model_validate([pin, few]).live_json
    rows = [PageRow("first", limit=1), PageRow("second", rules=own), PageRow("third")]
    rules = SlateRules.model_validate(excluded)

    page = page_of(asked, probabilities, rows, policy=SlatePolicy(rules=rules))
    without = fallback_page(asked, np.array(probabilities), rows=rows, rules=rules)

    assert ids(page, asked) == [["s4"], ["s0", "s3"], ["s2"]]
    assert page.slate.rules == ((), ("second/pin",), (), ())
    assert ids(without, asked) == [["s4"], ["s0", "s3"], ["s2"]]


def test_rows_name_their_unmet_rules_also_where_they_are_empty() -> None:
    """A row of too few sales shows no pin; rules of one name are named with their rows."""
    asked = query(catalogue(*FIVE))
    pin = {"name": "p", "where": 'sale_id == "s0"', "action": {"kind": "pin", "rank": 1}}
    only = {"name": "only", "where": 'category == "a"', "action": {"kind": "only"}}
    no_a = {"name": "no-a", "where": 'category == "a"', "action": {"kind": "exclude"}}

    def own(*given: object) -> str | None:
        return SlateRules.model_validate(given).live_json

    rows = [
        PageRow("few", limit=5, min_items=4, filter='category == "a"', rules=own(pin)),
        PageRow("met", limit=1, rules=own(pin)),
        PageRow("none", limit=2, rules=own(only, no_a)),
    ]
    order = np.arange(1.0, 6.0)

    page = page_of(asked, (0.1 * order).tolist(), rows)
    without = fallback_page(asked, order, rows=rows, rules=SlateRules())

    assert ids(page, asked) == ids(without, asked) == [[], ["s0"], []]
    assert page.slate.unmet == without.slate.unmet == ("few/p", "none/only", "none/no-a")


def test_a_row_has_a_diversity_of_its_own() -> None:
    """Below s4, of Rome as s2, half of the relevance of s3 is more: 3/8 against 7/16 - 1/4."""
    shop = catalogue(*(sale(f"s{n}", destination=("rome", "nice")[n % 2]) for n in range(5)))
    asked, probabilities = query(shop), [0.1, 0.1, 0.8, 0.7, 0.9]
    by_id = [probabilities[int(one.sale_id[1])] for one in asked.catalogue.sales]

    plain = page_of(asked, by_id, [PageRow("a", limit=2)])
    mixed = page_of(asked, by_id, [PageRow("a", limit=2, diversity=0.5)])

    assert ids(plain, asked) == [["s4", "s2"]]
    assert ids(mixed, asked) == [["s4", "s3"]]


def test_the_propensities_of_a_page_are_its_probability() -> None:
    """Each of 12 first rows occurs as often as the page's propensities multiply to.

    The second row is certain given the first: the best of what is left.
    """
    asked = query(catalogue(*FIVE[:4]))
    drawn = SlatePolicy(exploration=PlackettLuce(temperature=1.0, share=0.7))
    rows = [PageRow("two", limit=2), PageRow("one", limit=1)]
    n_pages = 20_000
    n_seen = Counter[tuple[int, ...]]()
    expected = dict[tuple[int, ...], float]()
    for number in range(n_pages):
        page = page_of(asked, [0.2, 0.3, 0.4, 0.1], rows, policy=drawn, seed=str(number)).slate
        picks = tuple(page.picks.tolist())
        n_seen[picks] += 1
        expected[picks] = float(page.propensities.prod())

    assert len(expected) == 12
    assert sum(expected.values()) == pytest.approx(1.0)
    for picks, probability in expected.items():
        standard_error = math.sqrt(probability * (1 - probability) / n_pages)
        assert abs(n_seen[picks] / n_pages - probability) < 5 * standard_error


def shop(rng: np.random.Generator, n_sales: int) -> Catalogue:
    """Sales of some categories, places and markets, open, closed, to come, and sold out."""
    found: list[Sale] = []
    for number in range(n_sales):
        opens_us = NOW_US + int(rng.integers(-4 * DAY_US, DAY_US))
        found.append(
            sale(
                f"s{number}",
                category=f"c{rng.integers(3)}",
                destination=f"d{rng.integers(5)}",
                country=f"n{rng.integers(2)}",
                price=float(rng.integers(50, 900)),
                opens_at=from_us(opens_us),
                closes_at=from_us(opens_us + int(rng.integers(HOUR_US, 6 * DAY_US)))
                if rng.random() < 0.8
                else None,
                stock=0 if rng.random() < 0.1 else 5,
                markets=("fr",) if rng.random() < 0.2 else None,
            )
        )
    return catalogue(*found)


OWN_RULES = [
    {"name": "own-no", "where": 'category == "c0"', "action": {"kind": "exclude"}},
    {"name": "own-pin", "where": 'destination == "d3"', "action": {"kind": "pin", "rank": 1}},
    {"name": "own-one", "action": {"kind": "at_most", "n": 1, "per": "destination"}},
]


def random_rows(rng: np.random.Generator) -> list[PageRow]:
    filters = [None, None, 'category == "c1"', "price < 400", 'destination != "d2"']
    return [
        PageRow(
            f"r{number}",
            list(RowKind)[int(rng.integers(len(RowKind)))],
            limit=int(rng.integers(1, 9)),
            hours=float(rng.integers(1, 90)),
            filter=filters[int(rng.integers(len(filters)))],
            min_items=int(rng.integers(1, 4)),
            diversity=float(rng.choice([0.0, 0.4])) if rng.random() < 0.2 else None,
            rules=SlateRules.model_validate(
                [one for one in OWN_RULES if rng.random() < 0.2]
            ).live_json,
        )
        for number in range(int(rng.integers(1, 7)))
    ]


def random_policy(rng: np.random.Generator) -> SlatePolicy:
    rules = [
        {"name": "no", "where": 'category == "c2"', "action": {"kind": "exclude"}},
        {"name": "pin", "where": 'destination == "d1"', "action": {"kind": "pin", "rank": 2}},
        {"name": "few", "action": {"kind": "at_most", "n": 2, "per": "destination"}},
        {"name": "up", "where": "price > 300", "action": {"kind": "boost", "odds": 3}},
    ]
    explorations = [None, PlackettLuce(temperature=1.0), NewSaleSlots(slots=2, hours=24.0)]
    return SlatePolicy(
        diversity=float(rng.choice([0.0, 0.3])),
        exploration=explorations[int(rng.integers(3))],
        rules=SlateRules.model_validate([one for one in rules if rng.random() < 0.25]),
    )


def asked_of(of: Catalogue, rng: np.random.Generator, choice: CallerChoice) -> Query:
    events = [
        (EventType.CLICK, f"s{rng.integers(len(of))}", HOUR_S),
        (EventType.PURCHASE, f"s{rng.integers(len(of))}", 2 * HOUR_S),
    ]
    market = str(rng.choice(["fr", "de"]))
    return candidate_query(
        EligibleSalesCache(of).at(market, NOW_US),
        Context(NOW_US, market),
        window=window(*events),
        profile=Profile.empty(),
        choice=choice,
    )


@pytest.mark.prove
def test_no_page_shows_a_sale_twice_or_a_closed_one(proof: Proof, rng: np.random.Generator) -> None:
    """Any rows, rules, diversity and exploration; a row lies within its filter and its limit."""
    n_pages, n_shown, n_rows = proof.scale(10_000), 0, 0
    shops = [shop(rng, n_sales) for n_sales in (8, 40, 120)]
    for number in range(n_pages):
        of = shops[number % len(shops)]
        asked = asked_of(of, rng, CallerChoice(exclude=["s1"]))
        rows, policy = random_rows(rng), random_policy(rng)
        probabilities = rng.uniform(0.001, 0.2, size=len(asked.rows)).tolist()

        page = page_of(asked, probabilities, rows, policy=policy, seed=str(number))
        again = page_of(asked, probabilities, rows, policy=policy, seed=str(number))

        catalogue_rows: list[int] = asked.rows[page.slate.picks].tolist()
        assert len(set(catalogue_rows)) == len(catalogue_rows)
        for place in catalogue_rows:
            one = of.sales[place]
            assert one.sale_id != "s1"
            assert one.opens_at <= from_us(NOW_US)
            assert one.closes_at is None or from_us(NOW_US) < one.closes_at
            assert one.stock != 0
            assert one.markets is None or asked.context.market in one.markets
        for row, filled in zip(rows, page.rows, strict=True):
            assert len(filled.slate.picks) <= row.limit
            shown = sales_at(of, asked.rows[filled.slate.picks])
            if row.filter == 'category == "c1"':
                assert {one.category for one in shown} <= {"c1"}
            own = {rule.name for rule in row.own_rules}
            assert f"{row.name}/own-no" not in own or "c0" not in {one.category for one in shown}
            places = [one.destination for one in shown]
            assert f"{row.name}/own-one" not in own or len(set(places)) == len(places)
        assert ((page.slate.propensities > 0) & (page.slate.propensities <= 1)).all()
        assert again.slate.picks.tolist() == page.slate.picks.tolist()
        assert again.slate.propensities.tolist() == page.slate.propensities.tolist()
        n_shown, n_rows = n_shown + len(catalogue_rows), n_rows + len(rows)
    figures = {"pages": n_pages, "rows": n_rows, "sales": n_shown, "twice": 0, "closed": 0}
    proof.record("pages", figures)


@pytest.mark.prove
def test_next_pages_partition_the_eligible_catalogue(
    proof: Proof, rng: np.random.Generator
) -> None:
    """Each page has other scores: what was shown depends on the cursor alone."""
    n_lists, n_pages = proof.scale(1_000), 0
    shops = [shop(rng, n_sales) for n_sales in (8, 120, 900)]
    for number in range(n_lists):
        of, limit = shops[number % len(shops)], int(rng.integers(1, 60))
        state = rng.bit_generator.state
        seen: tuple[int, ...] = ()
        shown: list[str] = []
        while True:
            rng.bit_generator.state = state
            asked = asked_of(of, rng, CallerChoice(seen=seen))
            if not len(asked.rows):
                break
            chances = np.random.default_rng([number, len(shown)]).random(len(asked.rows))
            rows = [PageRow("new", RowKind.OPENING_NOW, limit=limit), PageRow("all", limit=limit)]
            page = page_of(asked, chances.tolist(), rows, seed=str(number))
            found = [one for row in ids(page, asked) for one in row]
            shown += found
            cursor = next_cursor(seen, np.array([key(one) for one in found], dtype=np.uint64))
            assert cursor is not None
            seen = read_cursor(cursor)
            n_pages += 1
        rng.bit_generator.state = state
        everything = asked_of(of, rng, CallerChoice())
        eligible = [one.sale_id for one in sales_at(of, everything.rows)]
        assert len(set(shown)) == len(shown)
        assert sorted(shown) == sorted(eligible)
    proof.record("next_pages", {"lists": n_lists, "pages": n_pages, "repeated": 0, "missing": 0})


def test_a_cursor_ends_after_a_thousand_sales() -> None:
    keys = np.array([key(f"s{n}") for n in range(1_001)], dtype=np.uint64)

    longest = next_cursor((), keys[:1_000])

    assert longest is not None
    assert len(longest) == math.ceil(5_006 * 4 / 3)
    assert next_cursor(read_cursor(longest), keys[1_000:]) is None
