"""Price of rules: what each costs an answer in expected outcomes and revenue."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.query.query import Query
from models.rules.constraints import Constraints, holding
from models.rules.rule import REQUEST, SlateRule, SlateRules
from models.scoring.scorer import Scores
from models.slate.exploration import is_drawn
from models.slate.ruled_slate import ruled_order, ruled_slate

PRICED_SHARE: Final = 0.05
"""Share of answers whose rules are priced; chosen: each rule is another selection."""

# Flips a bit of the seed: whether an answer is priced is independent of its exploration.
_OF_PRICE: Final = 2


@dataclass(frozen=True, slots=True)
class RulePrice:
    """Price of a rule in one answer: of the slate without it, minus the slate with it.

    Attributes:
        rule: Name of the rule.
        dry_run: Whether it changed nothing: the price is what it would cost.
        outcomes: Expected purchases, or clicks of a bundle that learned these; below 0 for a gain.
        revenue: The same times prices; None where the price of a shown sale is unknown.
    """

    rule: str
    dry_run: bool
    outcomes: float
    revenue: float | None


def is_priced(seed: int) -> bool:
    """Return whether the rules of an answer are priced."""
    return is_drawn(seed ^ _OF_PRICE, PRICED_SHARE)


def rule_prices(
    query: Query,
    scores: Scores,
    *,
    rules: SlateRules,
    diversity: float,
    p_examined: NDArray[np.float64],
) -> tuple[RulePrice, ...]:
    """Price each rule that holds for a query, beside all others that are no dry run.

    The filter of a request has no price.

    Args:
        query: The scored query.
        scores: Ordered by the policy.
        rules: The policy's, dry runs too.
        diversity: The policy's.
        p_examined: P(examined) by rank, relative to position 1, shape ``(limit,)``.
    """
    held = holding(rules.root, query)
    return tuple(_prices(query, scores, held, diversity=diversity, p_examined=p_examined))


def _prices(
    query: Query,
    scores: Scores,
    held: Sequence[SlateRule],
    *,
    diversity: float,
    p_examined: NDArray[np.float64],
) -> Iterator[RulePrice]:
    def worth(rules: Sequence[SlateRule]) -> NDArray[np.float64]:
        """Return the expected outcomes and revenue of the slate under some rules."""
        constraints = Constraints.from_rules(rules, query)
        order = ruled_order(
            constraints,
            scores.order,
            probabilities=scores.probabilities,
            limit=len(p_examined),
        )
        slate = ruled_slate(order, query, diversity=diversity, exploration=None, seed=0)
        picks = slate.picks
        outcomes = p_examined[: len(picks)] * scores.probabilities[picks]
        return np.array([outcomes.sum(), (outcomes * scores.prices[picks]).sum()])

    live = [rule for rule in held if not rule.dry_run]
    as_it_is = worth(live)
    for rule in held:
        if rule.name == REQUEST:
            continue
        if rule.dry_run:
            kept = [one for one in held if not one.dry_run or one is rule]
            lost, revenue = as_it_is - worth(kept)
        else:
            lost, revenue = worth([one for one in live if one is not rule]) - as_it_is
        known = None if np.isnan(revenue) else float(revenue)
        yield RulePrice(rule.name, rule.dry_run, float(lost), known)
