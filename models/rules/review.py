"""Review of rules against a catalogue: how many sales each is about, and what looks wrong."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from models.query.query import Query
from models.rules.constraints import Constraints, holding
from models.rules.field import FIELDS, FieldScope, Subject
from models.rules.rule import AtMost, Exclude, Only, SlateRule


@dataclass(frozen=True, slots=True)
class RuleReview:
    """Review of one rule.

    Attributes:
        rule: The rule.
        holds: Whether it holds for any of the visits.
        n_matching: Candidates that it is about.
        warnings: What looks wrong.
    """

    rule: SlateRule
    holds: bool
    n_matching: int
    warnings: tuple[str, ...]


def review(
    rules: Iterable[SlateRule], query: Query, *, markets: Mapping[str, Query]
) -> tuple[RuleReview, ...]:
    """Review rules, as of visits.

    Args:
        rules: By precedence.
        query: A visit of an unknown customer of any market, with all sales that are open.
        markets: The same of each market.
    """
    given, n = tuple(rules), len(query.rows)
    held = {name: holding(given, one) for name, one in markets.items()}
    emptied = {name: _without_filter(held[name], one) for name, one in markets.items()}
    anywhere = holding(given, query)
    without = _without_filter(anywhere, query)
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
        warnings += [
            f"no sale is of market {name!r}, which its `when` names"
            for name in _markets(rule)
            if markets and name not in markets
        ]
        if rule in without:
            warnings.append(f"with it none of the {n:,} open sales may be shown")
        else:
            warnings += [
                f"with it none of the {len(markets[name].rows):,} open sales of market {name!r} "
                "may be shown"
                for name, blamed in emptied.items()
                if rule in blamed
            ]
        holds = rule in anywhere or any(rule in one for one in held.values())
        found.append(RuleReview(rule, holds, n_matching, tuple(warnings)))
    return tuple(found)


def _markets(rule: SlateRule) -> list[str]:
    comparisons = () if rule.occasion is None else rule.occasion.comparisons()
    of_market = [one.values for one in comparisons if one.field is FIELDS["market"]]
    return [str(value) for values in of_market for value in values]


def _without_filter(held: tuple[SlateRule, ...], query: Query) -> tuple[SlateRule, ...]:
    """Return the rules without which sales are left, if none is left with all of them."""
    if not len(query.rows) or _n_left(held, query):
        return ()
    filters = [one for one in held if isinstance(one.action, Exclude | Only | AtMost)]
    blamed = [one for one in filters if _n_left([two for two in held if two != one], query)]
    return tuple(blamed or filters)


def _n_left(rules: Iterable[SlateRule], query: Query) -> int:
    constraints = Constraints.from_rules([one for one in rules if not one.dry_run], query)
    return int(constraints.without_excluded.sum())
