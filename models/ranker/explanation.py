"""Explanation of a rank: exact contributions of features, and one sentence made of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.domain.units import DAY_S
from models.features.caller_list import LISTED
from models.features.context import POSITION_GROUP
from models.features.cross import CROSS
from models.features.feature import Scope
from models.features.last_list import LAST_LIST, LAST_LIST_IN
from models.features.schema import FeatureSchema
from models.pictures.topics import Topics
from models.query.query import Query
from models.recommenders.collaborative import Collaborative

# Chosen: 5% of the odds.
MIN_CONTRIBUTION: Final = 0.05
"""Log-odds below which a group is not named as a reason."""

# Chosen: more reasons make a sentence that is not read.
MAX_REASONS: Final = 2
THIS_WEEK_S: Final = 7 * DAY_S
LESS_LIKELY: Final = "less likely than the average sale"
AS_LIKELY: Final = "about as likely as the average sale"
MORE_LIKELY: Final = "more likely than the average sale"

# Chosen: 10% of the odds.
_ALIKE: Final = 0.1

_SAME_SALE: Final = "same_sale"
_POSITION: Final = "position"
_LAST_LIST: Final = "last_list"
_POPULARITY: Final = "popularity"
_DEMOGRAPHIC: Final = "demographic"
_BESTSELLERS: Final = "bestsellers"
_AUDIENCE: Final = "audience"
_COLLABORATIVE: Final = "collaborative"
_COVISITATION: Final = "covisitation"


@dataclass(frozen=True, slots=True)
class Explanation:
    """Contributions to the log-odds of the outcome of the objective.

    ``base`` and the values of ``features``, and so those of ``groups``, sum to ``log_odds``.

    Attributes:
        sale_id: The sale.
        probability: Of this outcome, as in the answer; see `models.scoring.probability`.
        log_odds: Its log-odds.
        base: Mean log-odds of the sales that were shown in training, at position 1.
        features: Contribution of each feature by name, relative to the usual one, in column
            order.
        groups: Contribution of each recommender and each other group of features, the largest
            first. Groups are ``customer``, ``sale``, ``context``, ``position``, ``same_sale``,
            ``list`` with a list of the caller, ``last_list`` where the customer has chosen from a
            list before, and the names of recommenders.
        sentence: The largest positive contributions in words, whether it is less likely than the
            average sale all in all, and what else than the probability it is ordered by.
    """

    sale_id: str
    probability: float
    log_odds: float
    base: float
    features: Mapping[str, float]
    groups: Mapping[str, float]
    sentence: str


def feature_groups(
    schema: FeatureSchema, *, has_list: bool = True, has_last_list: bool = True
) -> tuple[str, ...]:
    """Return the group of every feature, in column order.

    Args:
        schema: The features.
        has_list: Whether the caller gave a list; without one its features are of the context.
        has_last_list: Whether the customer has chosen from a list before; without one its features
            are of the customer.
    """
    own = {
        id(CROSS): _SAME_SALE,
        id(POSITION_GROUP): _POSITION,
        id(LISTED): Scope.LIST.value if has_list else Scope.CONTEXT.value,
        id(LAST_LIST): _LAST_LIST if has_last_list else Scope.CUSTOMER.value,
    }
    names: list[str] = []
    for group in schema.groups:
        names += [own.get(id(group), group.scope.value)] * len(group.features)
    for recommender in schema.recommenders:
        names += [recommender.name] * len(recommender.columns)
    return tuple(names)


def explain(
    query: Query,
    contributions: NDArray[np.float64],
    *,
    matrix: NDArray[np.float32],
    probabilities: NDArray[np.float64],
    schema: FeatureSchema,
    topics: Topics,
    orders: Sequence[str] | None = None,
) -> tuple[Explanation, ...]:
    """Explain contributions.

    Args:
        query: The query; its rows are the sales to explain.
        contributions: Contribution of each feature, the base in the last column, shape
            ``(n_sales, n_features + 1)``.
        matrix: The features, shape ``(n_sales, n_features)``.
        probabilities: Of the outcome of the objective, shape ``(n_sales,)``.
        schema: Names of the columns.
        topics: Names of the topics.
        orders: A sentence for each sale on what it is ordered by, see `value_orders`; None for
            its probability.
    """
    groups = feature_groups(
        schema,
        has_list=query.caller_list is not None,
        has_last_list=not np.isnan(matrix[:, schema.names.index(LAST_LIST_IN)]).all(),
    )
    learned = [one.keys for one in schema.recommenders if isinstance(one, Collaborative)]
    keys = np.concatenate([np.empty(0, dtype=np.uint64), *learned])
    is_learned = np.isin(query.catalogue.keys[query.rows], keys).tolist()
    explained: list[Explanation] = []
    rows: list[int] = query.rows.tolist()
    for index, row in enumerate(rows):
        added = dict(zip(schema.names, contributions[index, :-1].tolist(), strict=True))
        sums = dict.fromkeys(groups, 0.0)
        for group, value in zip(groups, added.values(), strict=True):
            sums[group] += value
        values = dict(zip(schema.names, matrix[index].tolist(), strict=True))
        sale = Candidate(query, row, values, is_learned=is_learned[index])
        sentence = _sentence(sale, sums, added, groups=groups, topics=topics)
        explained.append(
            Explanation(
                sale_id=query.catalogue.sales[row].sale_id,
                probability=float(probabilities[index]),
                log_odds=float(contributions[index].sum()),
                base=float(contributions[index, -1]),
                features=added,
                groups=dict(sorted(sums.items(), key=lambda item: -item[1])),
                sentence=f"{sentence} {orders[index]}" if orders else sentence,
            )
        )
    return tuple(explained)


def relative_to(
    usual: NDArray[np.float64], contributions: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return contributions less the usual ones, which become part of the base.

    Args:
        usual: Mean contribution of each feature over what was shown, shape ``(n_features,)``.
        contributions: The base in the last column, shape ``(n_sales, n_features + 1)``.
    """
    return contributions + np.append(-usual, usual.sum())


def value_orders(values: NDArray[np.float64], amount: str) -> tuple[str, ...]:
    """Return a sentence for each sale on its order by expected value.

    Args:
        values: Value of a purchase of each sale, NaN if unknown, shape ``(n_sales,)``.
        amount: The computation of the value, in words.
    """
    return tuple(
        f"Ordered after the sales of known {amount}."
        if np.isnan(value)
        else f"Ordered by its probability × {value:,.2f} ({amount})."
        for value in values.tolist()
    )


@dataclass(frozen=True, eq=False)
class Candidate:
    """A sale whose rank is explained.

    Attributes:
        query: The query.
        row: Its catalogue row.
        values: Its features by name.
        is_learned: Whether customers had opened it when `Collaborative` was fitted; it predicts
            other sales from their content.
    """

    query: Query
    row: int
    values: Mapping[str, float]
    is_learned: bool

    @property
    def has_history(self) -> bool:
        """Whether the customer has events with known sales."""
        return len(self.query.history) > 0

    def main_topic(self) -> int | None:
        """Return the topic with the largest share of its pictures, None without one."""
        shares = self.query.catalogue.topics[self.row]
        return int(np.argmax(shares)) if shares.size and shares.max() > 0 else None

    def n_alike(self, topic: int) -> int:
        """Count the other sales of this main topic in the customer's history of the last 7 days."""
        history, shares = self.query.history, self.query.catalogue.topics
        recent = np.unique(history.rows[history.age_s <= THIS_WEEK_S])
        recent = recent[recent != self.row]
        seen = shares[recent]
        alike = (seen.max(axis=1, initial=0.0) > 0) & (np.argmax(seen, axis=1) == topic)
        return int(np.count_nonzero(alike))


def _sentence(
    sale: Candidate,
    sums: Mapping[str, float],
    added: Mapping[str, float],
    *,
    groups: Sequence[str],
    topics: Topics,
) -> str:
    # The groups of largest contribution for which a true statement is known.
    reasons: list[str] = []
    for group in sorted(sums, key=lambda name: -sums[name]):
        if sums[group] < MIN_CONTRIBUTION or len(reasons) == MAX_REASONS:
            break
        members = [name for name, own in zip(added, groups, strict=True) if own == group]
        feature = max(members, key=lambda name: added[name])
        if group == _AUDIENCE:
            reason = _audience(sale, added)
        else:
            reason = _reason(sale, group, feature, topics)
        if reason and reason not in reasons:
            reasons.append(reason)
    total = sum(sums.values())
    if not reasons:
        likely = MORE_LIKELY if total > _ALIKE else AS_LIKELY if total >= -_ALIKE else LESS_LIKELY
        return f"No particular reason: it is {likely}."
    text = "; ".join(reasons) + (f"; all in all {LESS_LIKELY}" if total < -_ALIKE else "")
    return f"{text[0].upper()}{text[1:]}."


def _reason(sale: Candidate, group: str, feature: str, topics: Topics) -> str | None:
    # None where nothing true is known to say; `feature` adds most of its group.
    is_unknown = group == Scope.SALE and np.isnan(sale.values[feature])
    words = None if is_unknown else _BY_FEATURE.get(feature)
    if group in _BY_SALE:
        did, column = _BY_SALE[group]
        n = round(sale.values[column])
        times = {1: "once", 2: "twice"}.get(n, f"{n} times")
        words = f"{did} {times} before by this customer" if n else None
    elif feature == "sale_discount" and sale.values[feature] > 0:
        words = f"{sale.values[feature]:.0%} below its original price"
    elif group in _BY_HISTORY:
        words = _by_history(sale, group, topics) if sale.has_history else None
    elif group == _DEMOGRAPHIC:
        words = "often opened by customers with the same attributes"
    elif group == _POPULARITY and words is None:
        # That a sale was looked at much or little, of the same rates, does not make it popular.
        words = None if feature == "popularity_looks" else "popular now"
    elif group in _BY_CONTENT and words is None:
        words = _content(sale, topics)
    elif group not in _KNOWN:
        words = f"suggested by the recommender {group!r}"
    return words


def _audience(sale: Candidate, added: Mapping[str, float]) -> str | None:
    # A lift of 0 is that of an unknown market or device, and below it a sale is less popular there.
    material = [
        name for name in _BY_LIFT if added[name] >= MIN_CONTRIBUTION and sale.values[name] > 0
    ]
    return _BY_LIFT[max(material, key=lambda name: added[name])] if material else None


def _by_history(sale: Candidate, group: str, topics: Topics) -> str | None:
    if group == _COLLABORATIVE and not sale.is_learned:
        return _alike(sale, topics)
    # NaN without companions, 0 where this customer opened none of them.
    is_true = group != _COVISITATION or sale.values[group] > 0
    return _BY_HISTORY[group] if is_true else None


def _content(sale: Candidate, topics: Topics) -> str | None:
    if not sale.has_history:
        return None
    return _alike(sale, topics) or "similar to sales this customer opened before"


def _alike(sale: Candidate, topics: Topics) -> str | None:
    topic = sale.main_topic()
    if topic is None or not topics.is_shown[topic]:
        return None
    history = sale.query.history
    is_opened = bool(np.any(history.rows[history.age_s <= THIS_WEEK_S] == sale.row))
    alike, other = sale.n_alike(topic), "other " if is_opened else ""
    sales = f"{other}sale" if alike == 1 else f"{alike} {other}sales"
    words = f"like the {sales} of {topics.names[topic]!r} this customer opened this week"
    return words if alike else None


# Not of the customer, the context or the position, nor of the activity of the audience: they are
# equal for all candidates, so they explain no rank.
_BY_FEATURE: Final = {
    "popularity_trend": "rising in the last hours",
    _BESTSELLERS: "chosen by many customers since it opened",
    "images_look_alikes": "sales with pictures like this one sell well",
    "sale_price": "its price",
    "sale_age": "how long it has been open",
    "sale_time_left": "how soon it closes",
    "list_rank": "its place in the given list",
}

_BY_LIFT: Final = {
    "audience_market": "more popular in this market than elsewhere",
    "audience_device": "more popular on this device than elsewhere",
    "audience_segment": "more popular with customers of similar activity than with others",
}

_BY_SALE: Final = {
    _SAME_SALE: ("opened", "same_sale_views"),
    "buy_again": ("bought", "buy_again_days"),
}

_BY_HISTORY: Final = {
    _COLLABORATIVE: "opened by customers who opened the same sales",
    _COVISITATION: "opened by customers who opened the same sales",
    "taste": "of a kind that this customer prefers",
    "session": "often next in visits like this one",
    "text": "its text is similar to those of sales this customer opened",
}

_BY_CONTENT: Final = ("content", "images")

_KNOWN: Final = frozenset(
    {
        *(Scope.CUSTOMER, Scope.CONTEXT, Scope.SALE, Scope.LIST, _POSITION, _LAST_LIST),
        *(_POPULARITY, _BESTSELLERS, _DEMOGRAPHIC, _AUDIENCE),
        *(*_BY_SALE, *_BY_HISTORY, *_BY_CONTENT),
    }
)
