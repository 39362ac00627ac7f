"""Review of rules against a catalogue: how many sales each is about, and what looks wrong."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from models.query.query import Query
from models.rules.constraints import Constraints, holding
from models.rules.field import FieldScope, Subject
from models.rules.rule import AtMost, Exclude, Only, SlateRule


@dataclass(frozen=True, slots=True)
class RuleReview:
    """Review of one rule.

    Attributes:
        rule: The rule.
        holds: Whether it holds for the query.
        n_matching: Candidates that it is about.
        warnings: What looks wrong.
    """

    rule: SlateRule
    holds: bool
    n_matching: int
    warnings: tuple[str, ...]


def review(rules: Iterable[SlateRule], query: Query) -> tuple[RuleReview, ...]:
    """Review rules, as of a visit.

    Args:
        rules: By precedence.
        query: A visit of an unknown customer, with all sales that are open.
    """
    given, n = tuple(rules), len(query.rows)
    held = holding(given, query)
    without = _without_filter(held, query) if n else ()
    found: list[RuleReview] = []
    for rule in given:
        n_matching = n
        if rule.condition is not None:
            matching = np.broadcast_to(rule.condition.matches(Subject(query)), n)
            n_matching = int(matching.sum())
        about_customer = any(one.scope is FieldScope.BOTH for one in rule.fields)
        warnings: list[str] = []
        if n and not n_matching and not about_customer:
            warnings.append(f"none of the {n:,} open sales meets {rule.where!r}")
        if rule in without:
            warnings.append(f"with it none of the {n:,} open sales may be shown")
        found.append(RuleReview(rule, rule in held, n_matching, tuple(warnings)))
    return tuple(found)


def _without_filter(held: tuple[SlateRule, ...], query: Query) -> tuple[SlateRule, ...]:
    """Return the rules without which sales are left, if none is left with all of them."""
    if _n_left(held, query):
        return ()
    filters = [one for one in held if isinstance(one.action, Exclude | Only | AtMost)]
    blamed = [one for one in filters if _n_left([two for two in held if two != one], query)]
    return tuple(blamed or filters)


def _n_left(rules: Iterable[SlateRule], query: Query) -> int:
    constraints = Constraints.from_rules([one for one in rules if not one.dry_run], query)
    return int(constraints.without_excluded.sum())
