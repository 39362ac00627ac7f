"""Truth of rule prices: what rules are said to cost a simulated shop, beside what they cost it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.query.query import Query
from models.rules.rule import AtLeast, AtMost, Boost, Exclude, Pin, SlateRule, SlateRules
from models.scoring.scorer import Scorer
from models.slate.rule_price import rule_prices
from models.slate.slate import make_slate
from models.slate.slate_policy import SlatePolicy
from training.console import Progress
from training.evaluation.evaluate import Question, evaluator_of, exposure_ids, open_visits
from training.evaluation.measure import K
from training.evaluation.truth import Truth
from training.statistics.bootstrap import Interval, resample

N_CATEGORIES: Final = 5

_ACTIONS: Final = {
    "exclude": Exclude(),
    "pin": Pin(rank=1),
    "boost": Boost(odds=3.0),
    "bury": Boost(odds=1 / 3),
    "at-most": AtMost(n=1),
    "at-least": AtLeast(n=3),
}
"""One of each kind, as a merchandiser may use it; chosen."""

_PER: Final = 1_000
_PLAIN: Final = SlatePolicy()


@dataclass(frozen=True, slots=True)
class RuleTruth:
    """A rule's price per 1,000 answers, as it is said and as it is.

    Attributes:
        rule: Name of the rule.
        predicted: Expected purchases that it costs by the model's probabilities.
        true: By the probabilities of the simulator.
        ratio: Predicted over true.
    """

    rule: str
    predicted: Interval
    true: Interval
    ratio: Interval


def common_rules(categories: Sequence[str | None]) -> SlateRules:
    """Return thirty rules: each action on each of the five most frequent categories.

    Args:
        categories: Category of each sale.
    """
    common = Counter(one for one in categories if one is not None).most_common(N_CATEGORIES)
    return SlateRules(
        tuple(
            SlateRule(
                name=f"{action}-{number}",
                where=f'category == "{category}"',
                action=_ACTIONS[action],
                dry_run=True,
            )
            for action, (number, (category, _)) in product(_ACTIONS, enumerate(common, start=1))
        )
    )


def rule_truths(scorer: Scorer, question: Question, *, progress: Progress) -> list[RuleTruth]:
    """Price thirty rules at the visits of a simulated shop, by the model and by the truth.

    Args:
        scorer: The bundle's scorer.
        question: What to evaluate on; its visits are those of the protocol `open`.
        progress: Receives the stages.

    Returns:
        One a rule; empty if no visit has a truth.
    """
    evaluator, slates = evaluator_of(scorer, question)
    visits = open_visits(evaluator, question.judged(slates), question=question)
    truth = Truth.read(question.dataset.directory, exposure_ids(evaluator.past, visits))
    if truth is None:
        return []
    rules = common_rules([one.category for one in evaluator.past.catalogue.sales])
    progress.stage("slates", len(visits))
    prices, customers = list[NDArray[np.float64]](), list[int]()
    for number, shown in enumerate(evaluator.past.queries(visits)):
        query = replace(shown, rows=evaluator.candidates(shown), positions=None, caller_list=None)
        known = evaluator.known(truth, visits, slate=number)
        if known is not None and len(query.rows):
            gains = np.nan_to_num(known.truth[query.rows])
            prices.append(
                prices_of(query, scorer, rules=rules, gains=gains, examined=truth.examined)
            )
            customers.append(int(visits.customers[number]))
        progress.tick()
    values, owners = np.array(prices), np.array(customers)
    return list(_compared(rules, values, customers=owners, seed=question.seed)) if prices else []


def prices_of(
    query: Query,
    scorer: Scorer,
    *,
    rules: SlateRules,
    gains: NDArray[np.float64],
    examined: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return what each rule costs an answer by the model and by the truth.

    Args:
        query: The visit.
        scorer: The bundle's scorer.
        rules: Dry runs.
        gains: True P(buy | examined) of each candidate, shape ``(n_candidates,)``.
        examined: True P(examined) by position, at least as many as a slate has.

    Returns:
        Expected purchases, shape ``(n_rules, 2)``; 0 of rules that do not hold.
    """
    scores = scorer.score(query)
    p_examined = scorer.p_examined(K, query.context.device)
    said = {
        one.rule: one.outcomes
        for one in rule_prices(query, scores, rules=rules, diversity=0.0, p_examined=p_examined)
    }

    def worth(policy: SlatePolicy) -> float:
        picks = make_slate(query, scores, policy=policy, limit=K, seed=0).picks
        return float(examined[: len(picks)] @ gains[picks])

    as_it_is = worth(_PLAIN)
    return np.array(
        [(said.get(rule.name, 0.0), as_it_is - worth(_live(rule))) for rule in rules.root]
    )


def _live(rule: SlateRule) -> SlatePolicy:
    live = rule.model_copy(update={"dry_run": False})
    return _PLAIN.model_copy(update={"rules": SlateRules.model_construct((live,))})


def _compared(
    rules: SlateRules, values: NDArray[np.float64], *, customers: NDArray[np.int64], seed: int
) -> Iterator[RuleTruth]:
    for place, rule in enumerate(rules.root):
        both = _PER * values[:, place]
        predicted, true = resample(both, customers, seed=seed).intervals()
        [ratio] = resample(both[:, :1], customers, seed=seed, per=both[:, 1:]).intervals()
        yield RuleTruth(rule.name, predicted, true, ratio)
