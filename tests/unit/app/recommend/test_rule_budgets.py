"""Budgets of rules: counted over all workers, and kept where the store is emptied."""

import pytest

from app.errors import StoreUnavailableError
from app.recommend.rule_budgets import RuleBudgets
from app.stores.connection import Connection
from app.stores.rule_spending import RuleSpending
from models.rules.rule import SlateRules
from models.slate.rule_price import PRICED_SHARE, RulePrice
from models.slate.slate_policy import SlatePolicy

RULES = SlateRules.model_validate(
    [
        {"name": name, "where": "price > 1", "action": {"kind": "pin", "rank": 1}, "budget": budget}
        for name, budget in (("dear", 10.0), ("free", None))
    ]
)
POLICY = SlatePolicy(rules=RULES)


@pytest.fixture
def url(embedded_url: str) -> str:
    return embedded_url


def worker(connection: Connection, name: str) -> RuleBudgets:
    return RuleBudgets(RuleSpending(connection), worker=name, rules=lambda: [RULES])


def price(outcomes: float, *, rule: str = "dear", dry_run: bool = False) -> RulePrice:
    """A price of a priced answer, which stands for twenty."""
    return RulePrice(rule, dry_run, outcomes * PRICED_SHARE, None)


def names(budgets: RuleBudgets) -> list[str]:
    return [rule.name for rule in budgets.applied(POLICY).rules.root]


async def test_a_rule_stops_for_all_workers_once_all_together_spent_its_budget(
    connection: Connection,
) -> None:
    first, second = worker(connection, "w1"), worker(connection, "w2")
    first.record([price(6.0), price(99.0, rule="free"), price(99.0, dry_run=True)])
    await first.follow()
    assert names(first) == ["dear", "free"]

    second.record([price(5.0)])
    await second.follow()
    await first.follow()

    assert names(first) == names(second) == ["free"]
    assert first.spent("dear") == pytest.approx(11.0)
    assert first.applied(POLICY).rules is first.applied(POLICY).rules


async def test_gains_are_taken_off_and_a_larger_budget_lets_it_run_again(
    connection: Connection,
) -> None:
    budgets = worker(connection, "w1")
    budgets.record([price(12.0), price(-1.0)])
    await budgets.follow()
    larger = RULES.root[0].model_copy(update={"budget": 20.0})

    assert budgets.spent("dear") == pytest.approx(11.0)
    assert budgets.is_stopped(RULES.root[0])
    assert not budgets.is_stopped(larger)


async def test_a_store_that_was_emptied_learns_again_what_was_spent(
    connection: Connection,
) -> None:
    workers = [worker(connection, f"w{number}") for number in range(2)]
    workers[0].record([price(11.0)])
    for one in workers:
        await one.follow()
    await connection.execute("FLUSHALL", doing="emptying the store")

    for one in workers:
        await one.follow()

    assert await RuleSpending(connection).read() == {"dear": pytest.approx(11.0)}
    assert names(workers[1]) == ["free"]


async def test_what_an_outage_kept_back_is_counted_once(connection: Connection) -> None:
    away = Connection.open("unix:///nowhere/redis.sock", timeout_s=0.2)
    budgets = RuleBudgets(RuleSpending(away), worker="w1", rules=lambda: [RULES])
    budgets.record([price(4.0)])
    with pytest.raises(StoreUnavailableError):
        await budgets.follow()
    await away.close()

    spending = RuleSpending(connection)
    for _ in range(2):
        await spending.add({"dear": 4.0}, worker="w1", batch_id="b1")

    assert await spending.read() == {"dear": pytest.approx(4.0)}
