"""Advice on a dataset: what to send next, by expected worth."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from models.ranker.objective import TrainingObjective
from training.checks.profile import Profile
from training.examples.outcomes import outcome_noun

# As `docs/training.md` says: below, there are no trees.
FEW_OUTCOMES: Final = 300
ENOUGH_OUTCOMES: Final = 1_000
# Chosen: what less than half of the rows have is named as missing.
_MOST: Final = 0.5
# Chosen: of fewer events, a sale that is missing is a slip, which the faults name.
_LOST: Final = 0.01


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing to send next.

    Attributes:
        what: What to send.
        why: What is lost without it.
        worth: What it was worth where it was measured.
    """

    what: str
    why: str
    worth: str


def advice_for(profile: Profile) -> list[Advice]:
    """Return what to send next, by expected worth.

    What decides whether anything is learned comes first: outcomes of the objective, and sales
    that events name. Then the order is that of what was measured in `docs/evaluation.md`; what
    was not measured comes last. Nothing of it is an estimate for this shop.
    """
    return [
        *_more_outcomes(profile),
        *_unknown_sales(profile),
        *(advice for is_missing, advice in _ADVICE if is_missing(profile)),
    ]


def _more_outcomes(profile: Profile) -> list[Advice]:
    n_outcomes = profile.n_outcomes
    if n_outcomes >= ENOUGH_OUTCOMES:
        return []
    name = outcome_noun(profile.objective)
    return [
        Advice(
            f"a longer history: {n_outcomes:,} {name}, aim at {ENOUGH_OUTCOMES:,}",
            f"below {FEW_OUTCOMES} a model is little more than a simple rule",
            "decides whether to train at all",
        )
    ]


def _unknown_sales(profile: Profile) -> list[Advice]:
    unknown = profile.unknown_sales
    n_all = unknown.n_events + sum(profile.events.values())
    if unknown.n_events <= _LOST * n_all:
        return []
    named = ", ".join(unknown.most_named)
    more = ", …" if unknown.n_sales > len(unknown.most_named) else ""
    return [
        Advice(
            f"sales that events name and `sales` lacks ({unknown.n_sales:,}): {named}{more}",
            "no model learns from their events",
            f"{unknown.n_events:,} of {n_all:,} events ({unknown.n_events / n_all:.0%}) more",
        )
    ]


def _learns_clicks(profile: Profile) -> bool:
    return profile.objective is TrainingObjective.CLICK


def _lacks(share: str) -> Callable[[Profile], bool]:
    # A share of no rows at all is not on record: there is nothing to send it with.
    return lambda profile: {**profile.of_sales, **profile.of_events}.get(share, 1.0) < _MOST


# By the relative effect where it was measured, see `docs/evaluation.md`; the others follow.
_ADVICE: Final[tuple[tuple[Callable[[Profile], bool], Advice], ...]] = (
    (
        lambda profile: not profile.events["impression"],
        Advice(
            "impressions: what was shown, with exposure_id and position",
            "sales that a customer saw and passed over say nothing; no probability of buying what"
            " is shown, no position effect",
            "not measured alone",
        ),
    ),
    (
        _learns_clicks,
        Advice(
            "purchases, if customers can buy, with revenue",
            "clicks are learned: what is opened most need not be what is bought",
            "not measured alone",
        ),
    ),
    (
        _lacks("attributes"),
        Advice(
            "attributes of sales: any column of your own",
            "new sales are compared by price, category and picture only",
            "planted shop: 101% of the possible lift, in place of 68%",
        ),
    ),
    (
        _lacks("a picture"),
        Advice(
            "pictures of sales, in images/",
            "a new sale is ranked without what customers see of it",
            "simulated shops: +7% to +9% expected purchases of new sales",
        ),
    ),
    (
        lambda profile: profile.events["impression"] > 0 and not profile.events["click"],
        Advice(
            "clicks on what was shown",
            "P(buys) is learned from purchases alone, which are fewer",
            "simulated shops: +0.8% to +1.8% expected purchases",
        ),
    ),
    (
        _lacks("impressions with a position"),
        Advice("positions of impressions", "a sale far down looks unwanted", "not measured"),
    ),
    (
        _lacks("a text"),
        Advice(
            "titles and descriptions",
            "`text` has no scores",
            "simulated shop: without it −3.5e−5 log likelihood a sale",
        ),
    ),
    (
        _lacks("a price"),
        Advice("prices of sales", "no order by revenue, no taste for prices", "not measured"),
    ),
    (
        _lacks("events with a session"),
        Advice("session_id", "visits are cut at gaps of 30 minutes", "not measured"),
    ),
    (
        lambda profile: (
            _lacks("events with a market")(profile) and _lacks("events with a device")(profile)
        ),
        Advice("market and device", "`audience` knows no such groups", "not measured"),
    ),
)
