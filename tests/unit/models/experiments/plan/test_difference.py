"""Differences between plans as lines of text."""

from models.experiments.plan.difference import changes
from models.experiments.plan.plan import Plan
from models.slate.slate_policy import SlatePolicy


def test_an_exploration_of_null_differs_from_one_that_follows_the_service() -> None:
    usual, none = Plan(), Plan(default=SlatePolicy(exploration=None))

    assert changes(usual, none) == ('default: {} → {"exploration":null}',)
    assert changes(none, usual) == ('default: {"exploration":null} → {}',)
    assert changes(none, Plan.model_validate_json(none.model_dump_json(exclude_unset=True))) == ()
