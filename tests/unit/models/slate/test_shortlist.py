"""Shortlists of large catalogues: what is ranked in full, and what a policy asks for."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.catalogue.eligible_sales import EligibleSalesCache
from models.domain.sale import Sale
from models.query.caller_candidates import CallerCandidates
from models.query.query import Context, Query
from models.rules.rule import SlateRules
from models.scoring.first_stage import RANKED_IN_FULL
from models.scoring.scorer import Scorer
from models.slate.page import PageRow, RowKind
from models.slate.shortlist import random_part, shortlisted
from models.slate.slate import make_slate
from models.slate.slate_policy import NewSaleSlots, SlatePolicy
from tests.builders import HOUR_US, NOW_US, browse, crowd, query, scorer, window

N_SALES = RANKED_IN_FULL + 500
LIMIT = 10


@pytest.fixture(scope="module")
def model() -> Scorer:
    return scorer(())


@pytest.fixture(scope="module")
def asked() -> Query:
    """A customer of a shop of many open sales."""
    rng = np.random.default_rng(1)
    shop = crowd(N_SALES, rng)
    eligible = EligibleSalesCache(shop).at(None, NOW_US)
    seen = window(*browse(20, N_SALES, rng=rng))
    one = query(shop, context=Context(NOW_US))
    return replace(one, window=seen, rows=eligible.rows, eligible=eligible)


def short(
    asked: Query, model: Scorer, policy: SlatePolicy | None = None, rows: tuple[PageRow, ...] = ()
) -> Query:
    return shortlisted(asked, model, policy=policy or SlatePolicy(), limit=LIMIT, rows=rows)


def ruled(*rules: dict[str, Any]) -> SlatePolicy:
    named = [{"name": f"rule-{number}", **one} for number, one in enumerate(rules)]
    return SlatePolicy(rules=SlateRules.model_validate(named))


def slate(asked: Query, model: Scorer, policy: SlatePolicy) -> list[int]:
    """Catalogue rows of the slate."""
    scores = model.score(asked, policy.order_by)
    picks = make_slate(asked, scores, policy=policy, limit=LIMIT, seed=1).picks
    return asked.rows[picks].tolist()


def sales(asked: Query) -> list[Sale]:
    rows: list[int] = asked.rows.tolist()
    return [asked.catalogue.sales[row] for row in rows]


def column(asked: Query, name: str) -> NDArray[np.object_]:
    return np.array([getattr(one, name) for one in sales(asked)])


def test_few_candidates_are_all_ranked(asked: Query, model: Scorer) -> None:
    few = replace(asked, rows=asked.rows[:RANKED_IN_FULL])

    assert short(few, model) is few


def test_a_shortlist_is_small_and_in_the_order_of_rows(asked: Query, model: Scorer) -> None:
    found = short(asked, model)

    assert len(found.rows) < N_SALES / 4
    assert np.all(np.diff(found.rows) > 0)
    assert np.isin(found.rows, asked.rows).all()


def test_equal_queries_have_equal_shortlists(asked: Query, model: Scorer) -> None:
    again = replace(asked, eligible=EligibleSalesCache(asked.catalogue).at(None, NOW_US))
    again = replace(again, rows=again.eligible.rows if again.eligible else again.rows)

    assert short(again, model).rows.tolist() == short(asked, model).rows.tolist()


@pytest.mark.parametrize("order_by", ["meta", "meta-revenue"])
def test_the_slate_of_a_shortlist_is_that_of_all_candidates(
    asked: Query, model: Scorer, order_by: str
) -> None:
    """Nearly: ten customers, at least 95 of 100 sales."""
    rng, policy, n_same = np.random.default_rng(5), SlatePolicy(order_by=order_by), 0
    for _ in range(10):
        one = replace(asked, window=window(*browse(15, N_SALES, rng=rng)))
        n_same += len(
            {*slate(one, model, policy)} & {*slate(short(one, model, policy), model, policy)}
        )

    assert n_same >= 95


@pytest.mark.parametrize("order_by", ["popularity", "content"])
def test_the_order_of_one_recommender_ranks_all(asked: Query, model: Scorer, order_by: str) -> None:
    assert short(asked, model, SlatePolicy(order_by=order_by)) is asked
    assert short(asked, model, rows=(PageRow("row", order_by=order_by),)) is asked


def test_the_list_of_a_caller_is_ranked_whole(asked: Query, model: Scorer) -> None:
    listed = replace(asked, caller_list=CallerCandidates.from_rows(asked.catalogue, asked.rows))

    assert short(listed, model) is listed


def test_a_pinned_sale_is_shown_though_its_estimate_is_low(asked: Query, model: Scorer) -> None:
    worst = asked.rows[int(model.score(asked).order.argmin())]
    name = asked.catalogue.sales[int(worst)].sale_id
    policy = ruled({"where": f'sale_id == "{name}"', "action": {"kind": "pin", "rank": 2}})

    assert slate(short(asked, model, policy), model, policy)[1] == worst


def test_a_filter_leaves_the_best_of_what_it_lets_pass(asked: Query, model: Scorer) -> None:
    """A sixty-fifth of all, as they are: one category and destination."""
    policy = SlatePolicy().filtered('category == "c1" and destination == "d11"')
    found = short(asked, model, policy)

    passes = (column(asked, "category") == "c1") & (column(asked, "destination") == "d11")
    assert np.isin(asked.rows[passes], found.rows).all()
    assert slate(found, model, policy) == slate(asked, model, policy)


def test_a_bound_of_groups_leaves_enough_groups(asked: Query, model: Scorer) -> None:
    """One sale a destination, of thirteen; and of one destination none is left out for nothing."""
    policy = ruled({"action": {"kind": "at_most", "n": 1, "per": "destination"}})

    found = slate(short(asked, model, policy), model, policy)

    assert len(found) == LIMIT
    assert len({asked.catalogue.sales[row].destination for row in found}) == LIMIT
    assert len({*found} & {*slate(asked, model, policy)}) >= LIMIT - 1


def test_a_guarantee_and_a_boost_find_their_sales(asked: Query, model: Scorer) -> None:
    order = model.score(asked).order
    of_each = {name: order[column(asked, "destination") == name].mean() for name in ("d1", "d2")}
    lower = min(of_each, key=lambda name: of_each[name])
    where = f'destination == "{lower}"'
    for action in ({"kind": "at_least", "n": 8}, {"kind": "boost", "odds": 50.0}):
        policy = ruled({"where": where, "action": action})
        found = slate(short(asked, model, policy), model, policy)

        assert len({*found} & {*slate(asked, model, policy)}) >= LIMIT - 1


def test_new_sales_compete_though_their_estimates_are_low(asked: Query, model: Scorer) -> None:
    """Three sales opened a minute ago, the worst of all by the model."""
    worst = asked.rows[model.score(asked).order.argsort()[:3]]
    opens_us = asked.catalogue.opens_us.copy()
    opens_us[asked.rows] = NOW_US - 100 * HOUR_US
    opens_us[worst] = NOW_US - HOUR_US // 60
    shop = replace(asked.catalogue, opens_us=opens_us)
    new = replace(asked, catalogue=shop, eligible=None)
    policy = SlatePolicy(exploration=NewSaleSlots(slots=3, hours=1.0))

    assert {*slate(short(new, model, policy), model, policy)} >= {*worst.tolist()}


def test_each_row_of_a_page_has_its_candidates(asked: Query, model: Scorer) -> None:
    rows = (
        PageRow("best"),
        PageRow("filtered", filter='category == "c4" and destination == "d9"', limit=5),
        PageRow("closing", RowKind.CLOSING_SOON, hours=25.0),
    )
    found = short(asked, model, rows=rows)

    passes = (column(asked, "category") == "c4") & (column(asked, "destination") == "d9")
    assert np.isin(asked.rows[passes], found.rows).all()
    closing = [one.closes_at is not None for one in sales(found)]
    assert sum(closing) >= 2 * LIMIT


def test_what_rules_of_a_row_name_has_its_place(asked: Query, model: Scorer) -> None:
    last = int(asked.rows[~np.isin(asked.rows, short(asked, model).rows)][-1])
    sale_id = asked.catalogue.sales[last].sale_id
    pin = {"where": f'sale_id == "{sale_id}"', "action": {"kind": "pin", "rank": 1}}
    own = ruled(pin).rules.live_json

    rows = short(asked, model, rows=(PageRow("own", rules=own),)).rows

    assert last in rows


def test_a_random_part_of_a_shortlist_is_known(asked: Query, model: Scorer) -> None:
    """By which the distribution of all candidates is watched, and not that of the best."""
    found = short(asked, model)

    part = random_part(found, model)

    assert random_part(asked, model) == slice(None)
    assert found.rows[part].tolist() == [
        int(asked.rows[place * N_SALES // 64]) for place in range(64)
    ]
