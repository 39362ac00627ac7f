"""Constraints: what the rules that hold for an answer ask of its slate."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.domain.event import from_us
from models.query.query import Query
from models.rules.field import Subject
from models.rules.rule import (
    REQUEST,
    AtLeast,
    AtMost,
    Boost,
    Exclude,
    Only,
    Pin,
    Share,
    SlateRule,
)


@dataclass(frozen=True, slots=True, eq=False)
class Pinned:
    """A pin: the best candidate of a mask at a place.

    Attributes:
        rule: Name of the rule.
        place: Place from 0.
        matching: The candidates, shape ``(n,)``.
    """

    rule: str
    place: int
    matching: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Cap:
    """An upper bound of the candidates of each group.

    Attributes:
        groups: Group of each candidate, from 0; -1 for those that are not bounded, shape ``(n,)``.
        at_most: Places of each group.
    """

    groups: NDArray[np.int64]
    at_most: int


@dataclass(frozen=True, slots=True, eq=False)
class Floor:
    """A number of places for the candidates of a mask.

    Attributes:
        rule: Name of the rule.
        matching: The candidates, shape ``(n,)``.
        at_least: Places.
        worth: What a further place may cost, in expected outcomes, see `settled`; None for a
            number of places that is fixed.
    """

    rule: str
    matching: NDArray[np.bool_]
    at_least: int
    worth: float | None = None

    def settled(
        self, free: NDArray[np.bool_], probabilities: NDArray[np.float64], *, limit: int
    ) -> Self:
        """Return the floor with as many places as are worth their loss.

        The last sales of others give way to the next ones of the floor's own, as long as the
        difference of the probabilities is less than `worth`; it rises with each.

        Args:
            free: Candidates that may be shown, best first, shape ``(n,)``.
            probabilities: Of each, falling, same shape.
            limit: Length of the slate.
        """
        if self.worth is None:
            return self
        ranks = np.flatnonzero(free)
        head, rest = ranks[:limit], ranks[limit:]
        is_own = self.matching[head]
        others, own = head[~is_own][::-1], rest[self.matching[rest]]
        n = min(len(others), len(own))
        losses = probabilities[others[:n]] - probabilities[own[:n]]
        n_worth = int(np.count_nonzero(losses < self.worth))
        return replace(self, at_least=int(np.count_nonzero(is_own)) + n_worth)


@dataclass(frozen=True, slots=True, eq=False)
class Constraints:
    """Constraints of one slate.

    Attributes:
        allowed: Candidates that no rule excludes, shape ``(n,)``; read only.
        log_odds: What is added to the log-odds of each, same shape.
        excluding: Name of each rule that excludes, and the candidates that it leaves.
        pins: By precedence.
        caps: All upper bounds of at least one place.
        floors: By precedence.
        boosted: Name of each rule that boosts or buries, and the candidates.
    """

    allowed: NDArray[np.bool_]
    log_odds: NDArray[np.float64]
    excluding: tuple[tuple[str, NDArray[np.bool_]], ...] = ()
    pins: tuple[Pinned, ...] = ()
    caps: tuple[Cap, ...] = ()
    floors: tuple[Floor, ...] = ()
    boosted: tuple[tuple[str, NDArray[np.bool_]], ...] = ()

    @classmethod
    def none(cls, n: int) -> Self:
        """Return the constraints of ``n`` candidates without rules."""
        return cls(np.ones(n, dtype=np.bool_), np.zeros(n))

    @property
    def emptied_by(self) -> tuple[str, ...]:
        """Names of the rules that leave no candidate together; none where one is left.

        Those without any one of which some would be left; if there are none, all that exclude.
        """
        if not len(self.allowed) or self.allowed.any():
            return ()
        excluded = ~np.array([left for _, left in self.excluding])
        alone = (excluded & (excluded.sum(axis=0) == 1)).any(axis=1)
        blamed = alone if alone.any() else excluded.any(axis=1)
        return tuple(self.excluding[index][0] for index in np.flatnonzero(blamed).tolist())

    def take(self, ranking: NDArray[np.intp]) -> Self:
        """Return the same constraints for candidates in another order, shape ``(n,)``."""
        return type(self)(
            self.allowed[ranking],
            self.log_odds[ranking],
            tuple((name, left[ranking]) for name, left in self.excluding),
            tuple(replace(one, matching=one.matching[ranking]) for one in self.pins),
            tuple(replace(one, groups=one.groups[ranking]) for one in self.caps),
            tuple(replace(one, matching=one.matching[ranking]) for one in self.floors),
            tuple((name, matching[ranking]) for name, matching in self.boosted),
        )

    @classmethod
    def from_rules(cls, rules: Iterable[SlateRule], query: Query) -> Self:
        """Apply rules to the candidates of a query.

        Args:
            rules: Those that hold, by precedence; see `holding`.
            query: The scored query.
        """
        subject, n = Subject(query), len(query.rows)
        matched = [(rule, _matching(rule, subject, n)) for rule in rules]
        allowed, log_odds = np.ones(n, dtype=np.bool_), np.zeros(n)
        excluding = tuple(_excluding(matched, subject))
        for _, left in excluding:
            allowed &= left
        for rule, matching in matched:
            if isinstance(rule.action, Boost):
                log_odds += np.log(rule.action.odds) * matching
        return cls(
            allowed,
            log_odds,
            excluding=excluding,
            pins=tuple(
                Pinned(rule.name, rule.action.rank - 1, matching)
                for rule, matching in matched
                if isinstance(rule.action, Pin)
            ),
            caps=tuple(
                Cap(_groups(rule, subject, matching), rule.action.n)
                for rule, matching in matched
                if isinstance(rule.action, AtMost) and rule.action.n
            ),
            floors=tuple(
                Floor(rule.name, matching, rule.action.n)
                if isinstance(rule.action, AtLeast)
                else Floor(rule.name, matching, 0, rule.action.worth)
                for rule, matching in matched
                if isinstance(rule.action, AtLeast | Share)
            ),
            boosted=tuple(
                (rule.name, matching)
                for rule, matching in matched
                if isinstance(rule.action, Boost)
            ),
        )


def _matching(rule: SlateRule, subject: Subject, n: int) -> NDArray[np.bool_]:
    condition = rule.condition
    if condition is None:
        return np.ones(n, dtype=np.bool_)
    if not rule.is_of_sales or rule.name == REQUEST:  # callers may send any number of filters
        return np.broadcast_to(condition.matches(subject), n)
    # The cached value holds the condition, so that no other one gets its id.
    _, found = subject.query.cache.get_or_make(
        ("matching", id(condition)), lambda: (condition, condition.matches(subject))
    )
    return found


def holding(rules: Iterable[SlateRule], query: Query) -> tuple[SlateRule, ...]:
    """Return the rules that hold for a query's moment and customer, in their order."""
    now, subject = from_us(query.context.now_us), Subject(query)
    return tuple(
        rule
        for rule in rules
        if rule.runs_at(now)
        and (rule.occasion is None or bool(rule.occasion.matches(subject).all()))
    )


def may_be_shown(rules: Iterable[SlateRule], query: Query) -> NDArray[np.bool_]:
    """Return which candidates no exclusion forbids, by the rules that hold, shape ``(n,)``."""
    return Constraints.from_rules(holding(rules, query), query).allowed


def _excluding(
    matched: Iterable[tuple[SlateRule, NDArray[np.bool_]]], subject: Subject
) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Yield the name of each rule that excludes, and the candidates that it leaves."""
    for rule, matching in matched:
        match rule.action:
            case Exclude():
                yield rule.name, ~matching
            case Only():
                yield rule.name, matching
            case AtMost(n=0):
                yield rule.name, _groups(rule, subject, matching) < 0
            case Pin() | Boost() | AtMost() | AtLeast() | Share():
                pass


def _groups(rule: SlateRule, subject: Subject, matching: NDArray[np.bool_]) -> NDArray[np.int64]:
    per = rule.per
    if per is None:
        return np.where(matching, 0, -1)
    codes = subject.query.cache.get_or_make(("codes", per), lambda: subject.column(per).groups)
    return codes if rule.condition is None else np.where(matching, codes, -1)
