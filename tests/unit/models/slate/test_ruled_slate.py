"""Slates under rules: never a breach, never a place empty for nothing, exact propensities."""

from collections import Counter
from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.domain.customer import Window
from models.domain.event import from_us
from models.domain.profile import Profile
from models.domain.sale import Sale
from models.domain.units import HOUR_US
from models.query.query import Context, Query
from models.rules.rule import SlateRules
from models.scoring.scorer import Scores
from models.slate.exploration import Slate, seed_from
from models.slate.slate import make_slate
from models.slate.slate_policy import NewSaleSlots, PlackettLuce, SlatePolicy
from tests.builders import NOW_US, catalogue, rows, sale
from tests.proofs import Proof

CATEGORIES = ("ski", "beach", "city")
DESTINATIONS = ("Alps", "Nice", "Rome", None)


def rules(*given_rules: dict[str, Any]) -> SlateRules:
    named = [{"name": f"rule-{number}", **one} for number, one in enumerate(given_rules)]
    return SlateRules.model_validate(named)


def question(sales: list[Sale]) -> Query:
    shop = catalogue(*sales)
    at = rows(shop, *(one.sale_id for one in sales))
    return Query(Window.empty(), Profile.empty(), shop, Context(NOW_US, "fr", "mobile"), at)


def sales(*described: tuple[str, str | None]) -> list[Sale]:
    """Sales of categories and destinations, of which every other one is new."""
    return [
        sale(
            f"s{number}",
            category=category,
            destination=destination,
            price=100.0 * (number + 1),
            opens_at=from_us(NOW_US - (1 if number % 2 else 90) * HOUR_US),
        )
        for number, (category, destination) in enumerate(described)
    ]


def scores(probabilities: list[float]) -> Scores:
    nothing = np.full(len(probabilities), np.nan)
    found = np.array(probabilities, dtype=np.float64)
    empty = np.empty((len(found), 0), dtype=np.float32)
    return Scores(found, found, empty, nothing, nothing, nothing)


def slate_of(
    described: Sequence[tuple[str, str | None]],
    probabilities: list[float],
    policy: SlatePolicy,
    *,
    limit: int = 10,
    seed: int = 1,
) -> Slate:
    query = question(sales(*described))
    return make_slate(query, scores(probabilities), policy=policy, limit=limit, seed=seed)


SIX = [
    ("ski", "Alps"),
    ("ski", "Alps"),
    ("beach", "Nice"),
    ("beach", "Nice"),
    ("city", "Rome"),
    ("city", None),
]
FALLING = [0.6, 0.5, 0.4, 0.3, 0.2, 0.1]


def shown(*given_rules: dict[str, Any], limit: int = 3) -> list[int]:
    policy = SlatePolicy(rules=rules(*given_rules))
    return slate_of(SIX, FALLING, policy, limit=limit).picks.tolist()


def test_each_action_by_hand() -> None:
    beach, ski = 'category == "beach"', 'category == "ski"'

    assert shown({"where": ski, "action": {"kind": "exclude"}}) == [2, 3, 4]
    assert shown({"where": beach, "action": {"kind": "only"}}) == [2, 3]
    assert shown({"where": beach, "action": {"kind": "pin", "rank": 2}}) == [0, 2, 1]
    assert shown({"action": {"kind": "at_most", "n": 1, "per": "destination"}}) == [0, 2, 4]
    assert shown({"where": ski, "action": {"kind": "at_most", "n": 0}}) == [2, 3, 4]
    city = {"where": 'category == "city"', "action": {"kind": "at_least", "n": 2}}
    assert shown(city) == [0, 4, 5]


def test_a_bound_is_of_each_number_too() -> None:
    """Sales of 2, 1, 2, none, 1 and 1 stars: one of each number, and all without."""
    stars = [2.0, 1.0, 2.0, None, 1.0, 1.0]
    of = [
        sale(f"s{number}", attributes={} if one is None else {"stars": one})
        for number, one in enumerate(stars)
    ]
    bound = {"kind": "at_most", "n": 1, "per": "stars"}
    policy = SlatePolicy(rules=rules({"action": bound}))

    slate = make_slate(question(of), scores(FALLING), policy=policy, limit=6, seed=1)

    assert slate.picks.tolist() == [0, 1, 3]


def test_a_pin_below_the_slate_is_unmet() -> None:
    pin = {"where": 'sale_id == "s5"', "action": {"kind": "pin", "rank": 4}}
    slate = slate_of(SIX, FALLING, SlatePolicy(rules=rules(pin)), limit=3)

    assert (slate.picks.tolist(), slate.unmet) == ([0, 1, 2], ("rule-0",))


def test_rules_that_leave_no_sale_are_named_by_those_that_it_takes() -> None:
    """Without any one of the first two some sales are left; each of two alike empties it alone."""
    only = {"where": 'category == "ski"', "action": {"kind": "only"}}
    no_ski = {"where": 'destination == "Alps"', "action": {"kind": "at_most", "n": 0}}
    no_rome = {"where": 'destination == "Rome"', "action": {"kind": "exclude"}}
    nothing = {"where": "price < 0", "action": {"kind": "only"}}

    def unmet(*given_rules: dict[str, Any]) -> tuple[str, ...]:
        policy = SlatePolicy(rules=rules(*given_rules))
        return slate_of(SIX, FALLING, policy, limit=3).unmet

    assert unmet(only, no_ski, no_rome) == ("rule-0", "rule-1")
    assert unmet(no_rome, nothing) == ("rule-1",)
    assert unmet(nothing, nothing) == ("rule-0", "rule-1")
    assert unmet(only, no_rome) == ()


def test_a_filter_that_no_sale_meets_is_no_unmet_rule() -> None:
    policy = SlatePolicy().filtered("price < 0")

    assert slate_of(SIX, FALLING, policy, limit=3).unmet == ()


def test_a_boost_multiplies_the_odds() -> None:
    """0.4 has odds of 2/3: more than twice as many pass 0.5, and 2.3 times as many pass 0.6."""
    beach = 'sale_id == "s2"'

    assert shown({"where": beach, "action": {"kind": "boost", "odds": 1.4}}) == [0, 1, 2]
    assert shown({"where": beach, "action": {"kind": "boost", "odds": 1.6}}) == [0, 2, 1]
    assert shown({"where": beach, "action": {"kind": "boost", "odds": 2.3}}) == [2, 0, 1]
    assert shown({"where": 'sale_id == "s0"', "action": {"kind": "boost", "odds": 0.5}}) == [
        1,
        0,
        2,
    ]


def test_rules_hold_in_their_time_and_for_their_visits() -> None:
    ski = {"where": 'category == "ski"', "action": {"kind": "exclude"}}

    assert shown({**ski, "when": 'market == "fr" and device == "mobile"'}) == [2, 3, 4]
    assert shown({**ski, "when": 'market == "de"'}) == [0, 1, 2]
    assert shown({**ski, "starts_at": from_us(NOW_US + 1)}) == [0, 1, 2]
    assert shown({**ski, "ends_at": from_us(NOW_US)}) == [0, 1, 2]
    assert shown({**ski, "starts_at": from_us(NOW_US), "ends_at": from_us(NOW_US + 1)}) == [2, 3, 4]
    assert shown({**ski, "dry_run": True}) == [0, 1, 2]


def test_pins_give_way_to_filters_caps_and_pins_before_them() -> None:
    """What cannot be pinned is named; of two pins of one rank the second takes the next."""
    pin = {"kind": "pin", "rank": 1}
    policy = SlatePolicy(
        rules=rules(
            {"where": 'category == "ski"', "action": {"kind": "exclude"}},
            {"where": 'destination == "Nice"', "action": {"kind": "at_most", "n": 1}},
            {"where": 'sale_id == "s3"', "action": pin},
            {"where": 'sale_id == "s2"', "action": pin},
            {"where": 'sale_id == "s0"', "action": pin},
            {"where": 'sale_id == "s5"', "action": pin},
        )
    )
    slate = slate_of(SIX, FALLING, policy, limit=3)

    assert slate.picks.tolist() == [3, 5, 4]
    assert slate.unmet == ("rule-3", "rule-4")
    assert slate.rules == (("rule-2",), ("rule-5",), ())


def test_a_boost_names_the_sales_that_it_moves() -> None:
    """Ski leads anyway; of the beach sales, which follow, the boost puts both before it."""
    boost = {"kind": "boost", "odds": 1_000}
    first = SlatePolicy(rules=rules({"where": 'category == "ski"', "action": boost}))
    other = SlatePolicy(rules=rules({"where": 'category == "beach"', "action": boost}))

    assert slate_of(SIX, FALLING, first, limit=3).rules == ((), (), ())
    assert slate_of(SIX, FALLING, other, limit=3).rules == (("rule-0",), ("rule-0",), ())


def test_a_guarantee_names_the_sales_that_stand_there_for_its_sake() -> None:
    """Two cities are wanted among three: the last two places are theirs, before better sales."""
    city = {"where": 'category == "city"', "action": {"kind": "at_least", "n": 2}}
    alps = {"where": 'destination == "Alps"', "action": {"kind": "at_least", "n": 3}}

    kept = slate_of(SIX, FALLING, SlatePolicy(rules=rules(city)), limit=3)
    idle = slate_of(SIX, FALLING, SlatePolicy(rules=rules(alps)), limit=3)

    assert kept.picks.tolist() == [0, 4, 5]
    assert kept.rules == ((), ("rule-0",), ("rule-0",))
    # The best two are of the Alps anyway, and there is no third.
    assert (idle.rules, idle.unmet) == (((), (), ()), ("rule-0",))


def test_a_pin_below_the_end_of_a_short_slate_is_its_last() -> None:
    assert shown({"where": 'sale_id == "s0"', "action": {"kind": "pin", "rank": 9}}, limit=9) == [
        1, 2, 3, 4, 5, 0,
    ]  # fmt: skip


A_WHERE = st.sampled_from(
    [
        'category == "ski"',
        'category in ["beach", "city"]',
        'destination == "Nice" or price < 300',
        "not price > 400",
        'sale_id == "s1"',
        "hours_open < 24",
        'category == "nothing"',
    ]
)
AN_ACTION: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({"kind": "exclude"}),
    st.just({"kind": "only"}),
    st.fixed_dictionaries({"kind": st.just("pin"), "rank": st.integers(1, 8)}),
    st.fixed_dictionaries(
        {"kind": st.just("boost"), "odds": st.sampled_from([0.01, 0.5, 2.0, 100.0])}
    ),
    st.fixed_dictionaries({"kind": st.just("at_most"), "n": st.integers(0, 3)}),
    st.fixed_dictionaries(
        {
            "kind": st.just("at_most"),
            "n": st.integers(1, 3),
            "per": st.sampled_from(["destination", "category"]),
        }
    ),
    st.fixed_dictionaries({"kind": st.just("at_least"), "n": st.integers(1, 5)}),
)
SOME_RULES = st.lists(
    st.fixed_dictionaries({"where": A_WHERE, "action": AN_ACTION}), min_size=1, max_size=6
)
SOME_SALES = st.lists(
    st.tuples(st.sampled_from(CATEGORIES), st.sampled_from(DESTINATIONS)), min_size=1, max_size=12
)
POLICIES = [
    SlatePolicy(),
    SlatePolicy(diversity=0.4),
    SlatePolicy(exploration=NewSaleSlots(slots=2)),
    SlatePolicy(exploration=PlackettLuce(temperature=1.0), diversity=0.4),
    SlatePolicy(exploration=PlackettLuce(temperature=0.5, share=0.5)),
]


def holds(where: object, one: Sale, number: int) -> bool:
    """The conditions of `A_WHERE`, written in Python."""
    price = one.price or 0.0
    return {
        'category == "ski"': one.category == "ski",
        'category in ["beach", "city"]': one.category in {"beach", "city"},
        'destination == "Nice" or price < 300': one.destination == "Nice" or price < 300,
        "not price > 400": price <= 400,
        'sale_id == "s1"': one.sale_id == "s1",
        "hours_open < 24": number % 2 == 1,
        'category == "nothing"': False,
    }[str(where)]


def breaches(given_rules: list[dict[str, Any]], of: list[Sale], picks: list[int]) -> list[str]:
    """Say which filters and caps a slate breaks, by counting."""
    found: list[str] = []
    for rule in given_rules:
        action = rule["action"]
        about = [n for n in picks if holds(rule["where"], of[n], n)]
        match action["kind"]:
            case "exclude" if about:
                found.append(f"{rule} shows {about}")
            case "only" if len(about) < len(picks):
                found.append(f"{rule} shows others than {about}")
            case "at_most":
                per = action.get("per")
                groups = Counter(getattr(of[n], per) if per else "all" for n in about)
                groups.pop(None, None)
                if max(groups.values(), default=0) > action["n"]:
                    found.append(f"{rule} shows {groups}")
            case _:
                pass
    return found


@pytest.mark.parametrize("policy", POLICIES)
@settings(max_examples=100)
@given(SOME_SALES, SOME_RULES, st.integers(1, 12), st.data())
def test_no_rule_is_broken_and_no_place_stays_empty_that_could_be_filled(
    policy: SlatePolicy,
    described: list[tuple[str, str | None]],
    given_rules: list[dict[str, Any]],
    limit: int,
    data: st.DataObject,
) -> None:
    chances = st.sampled_from([0.0, 0.01, 0.01, 0.2, 0.5, 1.0])
    probabilities = data.draw(st.lists(chances, min_size=len(described), max_size=len(described)))
    seed = data.draw(st.integers(0, 2**128 - 1))
    ruled = policy.model_copy(update={"rules": rules(*given_rules)})
    of = sales(*described)

    slate = slate_of(described, probabilities, ruled, limit=limit, seed=seed)
    again = slate_of(described, probabilities, ruled, limit=limit, seed=seed)

    picks = slate.picks.tolist()
    assert len(set(picks)) == len(picks) == len(slate.propensities) <= limit
    assert not breaches(given_rules, of, picks)
    assert np.all((slate.propensities > 0) & (slate.propensities <= 1 + 1e-12))
    if len(picks) < limit:
        others = set(range(len(of))) - set(picks)
        assert all(breaches(given_rules, of, [*picks, other]) for other in others)
    assert again.picks.tolist() == picks
    assert again.propensities.tolist() == slate.propensities.tolist()


@settings(max_examples=100)
@given(SOME_SALES, SOME_RULES, st.integers(1, 12))
def test_floors_are_met_or_named(
    described: list[tuple[str, str | None]], given_rules: list[dict[str, Any]], limit: int
) -> None:
    """A floor of the one kind, with any filters; caps and pins may take its places."""
    simple = [one for one in given_rules if one["action"]["kind"] in {"exclude", "only", "boost"}]
    floor: dict[str, Any] = {"where": 'category == "city"', "action": {"kind": "at_least", "n": 2}}
    policy = SlatePolicy(rules=rules(*simple, floor))
    of: list[Sale] = sales(*described)
    picks: list[int] = slate_of(described, [0.5] * len(of), policy, limit=limit).picks.tolist()
    n_shown = sum(of[n].category == "city" for n in picks)
    may = [n for n in range(len(of)) if not breaches(simple, of, [n])]
    n_there = sum(of[n].category == "city" for n in may)

    assert n_shown >= min(2, n_there, limit)


@pytest.mark.parametrize(
    ("exploration", "given_rules"),
    [
        (
            PlackettLuce(temperature=1.0),
            [{"action": {"kind": "at_most", "n": 1, "per": "category"}}],
        ),
        (
            PlackettLuce(temperature=1.0, share=0.4),
            [
                {"where": 'sale_id == "s3"', "action": {"kind": "pin", "rank": 2}},
                {"where": 'category == "city"', "action": {"kind": "at_least", "n": 1}},
                {"where": 'category == "ski"', "action": {"kind": "at_most", "n": 1}},
            ],
        ),
        (
            NewSaleSlots(slots=2),
            [{"where": 'category == "city"', "action": {"kind": "at_least", "n": 1}}],
        ),
    ],
)
def test_propensities_sum_to_one_and_are_how_often_each_slate_comes(
    exploration: PlackettLuce | NewSaleSlots, given_rules: list[dict[str, Any]]
) -> None:
    """Over all slates that were drawn, by Pearson's chi-square at 99.9%."""
    policy = SlatePolicy(exploration=exploration, rules=rules(*given_rules))
    query, scored = question(sales(*SIX)), scores(FALLING)
    n_draws, seen, claimed = 6_000, Counter[tuple[int, ...]](), dict[tuple[int, ...], float]()
    for number in range(n_draws):
        slate = make_slate(query, scored, policy=policy, limit=3, seed=seed_from(f"a {number}"))
        picks = tuple(slate.picks.tolist())
        probability = float(slate.propensities.prod())
        assert claimed.setdefault(picks, probability) == pytest.approx(probability)
        seen[picks] += 1

    assert sum(claimed.values()) == pytest.approx(1.0, abs=0.02)
    common = {picks for picks, p in claimed.items() if p * n_draws >= 5}
    terms = [(seen[p] - n_draws * claimed[p]) ** 2 / (n_draws * claimed[p]) for p in common]
    n = len(terms)
    # Wilson and Hilferty's approximation of the quantile.
    quantile = n * (1 - 2 / (9 * n) + 3.09 * (2 / (9 * n)) ** 0.5) ** 3
    assert sum(terms) < quantile


def test_every_slate_of_a_small_shop_is_enumerated() -> None:
    """Four sales, two places, one of each category at most: products of ratios of odds by hand."""
    described = [("ski", None), ("ski", None), ("beach", None), ("city", None)]
    chances = [0.5, 0.4, 0.3, 0.2]
    policy = SlatePolicy(
        exploration=PlackettLuce(temperature=1.0),
        rules=rules({"action": {"kind": "at_most", "n": 1, "per": "category"}}),
    )
    odds = [p / (1 - p) for p in chances]
    expected: dict[tuple[int, int], float] = {}
    for first, second in product(range(4), repeat=2):
        left = [n for n in range(4) if n != first and described[n] != described[first]]
        if second in left:
            p = odds[first] / sum(odds)
            expected[first, second] = p * odds[second] / sum(odds[n] for n in left)

    claimed: dict[tuple[int, ...], float] = {}
    query, scored = question(sales(*described)), scores(chances)
    for number in range(600):
        slate = make_slate(query, scored, policy=policy, limit=2, seed=seed_from(str(number)))
        claimed[tuple(slate.picks.tolist())] = float(slate.propensities.prod())

    assert sum(expected.values()) == pytest.approx(1.0)
    assert claimed == pytest.approx(expected)


@pytest.mark.prove
def test_ten_thousand_shops_and_rule_sets(proof: Proof, rng: np.random.Generator) -> None:
    """No filter or bound is broken, no slate is short for nothing, all are made again equally."""
    n_sets, n_short = proof.scale(10_000), 0
    wheres = ['category == "ski"', 'category in ["beach", "city"]', "not price > 400"]
    kinds = ["exclude", "only", "pin", "boost", "at_most", "at_least"]
    for _ in range(n_sets):
        described = [
            (CATEGORIES[int(rng.integers(3))], DESTINATIONS[int(rng.integers(4))])
            for _ in range(int(rng.integers(1, 60)))
        ]
        given_rules = [
            {
                "where": wheres[int(rng.integers(3))],
                "action": action_of(kinds[int(rng.integers(6))], rng),
            }
            for _ in range(int(rng.integers(1, 11)))
        ]
        policy = POLICIES[int(rng.integers(len(POLICIES)))]
        ruled = policy.model_copy(update={"rules": rules(*given_rules)})
        chances: list[float] = rng.beta(1, 50, size=len(described)).tolist()
        seed, limit = int(rng.integers(1_000_000)), int(rng.integers(1, 13))

        slate = slate_of(described, chances, ruled, limit=limit, seed=seed)
        again = slate_of(described, chances, ruled, limit=limit, seed=seed)

        of = sales(*described)
        picks: list[int] = slate.picks.tolist()
        assert not breaches(given_rules, of, picks)
        if len(picks) < min(limit, len(of)):
            n_short += 1
            others = set(range(len(of))) - set(picks)
            assert all(breaches(given_rules, of, [*picks, other]) for other in others)
        assert again.picks.tolist() == picks
        assert again.propensities.tolist() == slate.propensities.tolist()
    proof.record("rules", {"sets": n_sets, "breaches": 0, "short_as_nothing_may_follow": n_short})


def action_of(kind: str, rng: np.random.Generator) -> dict[str, Any]:
    """Draw an action of a kind."""
    match kind:
        case "pin":
            return {"kind": kind, "rank": int(rng.integers(1, 9))}
        case "boost":
            return {"kind": kind, "odds": float(rng.choice([0.01, 0.5, 2.0, 100.0]))}
        case "at_most":
            per = [None, "destination", "category"][int(rng.integers(3))]
            return {"kind": kind, "n": int(rng.integers(1, 4)), "per": per}
        case "at_least":
            return {"kind": kind, "n": int(rng.integers(1, 6))}
        case _:
            return {"kind": kind}
