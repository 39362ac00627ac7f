"""Review of rules against a catalogue: how many sales each is about, and what looks wrong."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.domain.event import from_us
from models.query.query import Query
from models.rules.constraints import Constraints, holding
from models.rules.field import FIELDS, FieldScope, Subject
from models.rules.rule import AtLeast, Boost, Pin, Share, SlateRule

_USUAL_LIMIT: Final = 10
"""Sales of a list, unless its caller asks for another number."""
_SHORTER: Final = f"shorter lists do not have: {_USUAL_LIMIT} sales unless a caller asks for more"


@dataclass(frozen=True, slots=True)
class RuleReview:
    """Review of one rule.

    Attributes:
        rule: The rule.
        holds: Whether it holds for any of the visits.
        n_matching: Candidates that it is about, in the market where it holds and these are most; if
            it holds in none, in any.
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
    emptied = {name: _emptied_by(held[name], one) for name, one in markets.items()}
    anywhere = holding(given, query)
    everywhere = _emptied_by(anywhere, query)
    visits = [(query, anywhere), *((markets[name], its) for name, its in held.items())]
    found: list[RuleReview] = []
    for rule in given:
        of_rule = [(one, its) for one, its in visits if rule in its]
        where = [one for one, _ in of_rule or visits]
        # Of the market where it is about most: a `where` may name one.
        n_matching = max(int(_matching(rule, one).sum()) for one in where)
        about_customer = any(one.scope is FieldScope.BOTH for one in rule.fields)
        warnings: list[str] = []
        if n and not n_matching and not about_customer:
            n_open = max(len(one.rows) for one in where)
            warnings.append(f"none of the {n_open:,} open sales meets {rule.where!r}")
        warnings += [
            f"no sale is of market {name!r}, which its `when` names"
            for name in _markets(rule)
            if markets and name not in markets
        ]
        if rule.name in everywhere:
            warnings.append(f"{_with(rule, everywhere)} none of the {n:,} open sales may be shown")
        else:
            warnings += [
                f"{_with(rule, blamed)} none of the {len(markets[name].rows):,} open sales of "
                f"market {name!r} may be shown"
                for name, blamed in emptied.items()
                if rule.name in blamed
            ]
        warnings += _beyond(rule)
        if rule.ends_at is not None and rule.ends_at <= from_us(query.context.now_us):
            warnings.append(f"it ended at {rule.ends_at.isoformat()}")
        if of_rule and n_matching and not about_customer:
            first, its = of_rule[0]
            warnings += [*_too_few(rule, of_rule), *_beside_earlier(rule, first, held=its)]
        found.append(RuleReview(rule, bool(of_rule), n_matching, tuple(warnings)))
    return tuple(found)


def _matching(rule: SlateRule, query: Query) -> NDArray[np.bool_]:
    n = len(query.rows)
    if rule.condition is None:
        return np.ones(n, dtype=np.bool_)
    return np.broadcast_to(rule.condition.matches(Subject(query)), n)


def _too_few(
    rule: SlateRule, visits: Sequence[tuple[Query, tuple[SlateRule, ...]]]
) -> Iterator[str]:
    """Yield what other rules leave of a rule's sales, where it needs more, in its best visit."""
    match rule.action:
        case AtLeast(n=n):
            needed = float(n)
        case Share(of=share):
            needed = share * _USUAL_LIMIT
        case Pin() | Boost():
            needed = 1.0
        case _:
            return
    n_most = max(_n_showable(rule, query, held=held) for query, held in visits)
    if n_most < needed:
        of_list = f" in a list of {_USUAL_LIMIT}" if isinstance(rule.action, Share) else ""
        yield (
            f"it asks for {needed:g} of its sales{of_list}, and {n_most} may be shown by all rules"
        )


def _n_showable(rule: SlateRule, query: Query, *, held: tuple[SlateRule, ...]) -> int:
    """Return how many of a rule's sales one list may show, by what excludes and bounds."""
    constraints = Constraints.from_rules([one for one in held if not one.dry_run], query)
    free = constraints.allowed & _matching(rule, query)
    bounds = [int(free.sum())]
    for cap in constraints.caps:
        groups = cap.groups[free]
        _, sizes = np.unique(groups[groups >= 0], return_counts=True)
        bounds.append(int(np.sum(groups < 0) + np.minimum(sizes, cap.at_most).sum()))
    return min(bounds)


def _beyond(rule: SlateRule) -> Iterator[str]:
    """Yield what a rule asks for that a usual list does not have."""
    match rule.action:
        case Pin(rank=rank) if rank > _USUAL_LIMIT:
            yield f"it pins rank {rank}, which {_SHORTER}"
        case AtLeast(n=n) if n > _USUAL_LIMIT:
            yield f"it asks for {n} of its sales, which {_SHORTER}"
        case _:
            return


def _beside_earlier(rule: SlateRule, query: Query, *, held: tuple[SlateRule, ...]) -> Iterator[str]:
    """Yield what rules before it leave of the place, or of the impressions, that it asks for."""
    earlier = [one for one in held[: held.index(rule)] if not one.dry_run]
    match rule.action:
        case Pin(rank=rank):
            others = [one.name for one in earlier if one.action == Pin(rank=rank)]
            if others:
                yield f"rank {rank} is pinned by {others[0]}: its sale stands at the next free one"
        case Share(of=share):
            own = _matching(rule, query)
            others = [
                (one.name, one.action.of)
                for one in earlier
                if isinstance(one.action, Share) and not (_matching(one, query) & own).any()
            ]
            total = share + sum(part for _, part in others)
            if total > 1:
                names = ", ".join(name for name, _ in others)
                yield f"with {names} it asks for {total:g} of all impressions"
        case _:
            return


def _markets(rule: SlateRule) -> list[str]:
    comparisons = () if rule.occasion is None else rule.occasion.comparisons()
    of_market = [one.values for one in comparisons if one.field is FIELDS["market"]]
    return [str(value) for values in of_market for value in values]


def _emptied_by(held: tuple[SlateRule, ...], query: Query) -> tuple[str, ...]:
    return Constraints.from_rules([one for one in held if not one.dry_run], query).emptied_by


def _with(rule: SlateRule, blamed: tuple[str, ...]) -> str:
    others = [name for name in blamed if name != rule.name]
    return f"with it and {', '.join(others)}" if others else "with it"
