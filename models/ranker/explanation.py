"""Why a sale stands where it stands: exact contributions, and one sentence made of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.features.context import PLACE
from models.features.cross import CROSS
from models.features.feature import Scope
from models.features.schema import GROUPS, FeatureSchema
from models.pictures.topics import Topics
from models.query.query import Query

WORTH_TELLING: Final = 0.05
"""Log-odds below which a group of features is no reason: five percent of the odds."""

MAX_REASONS: Final = 2
THIS_WEEK_S: Final = 7 * 24 * 3600.0
NO_REASON: Final = "Nothing in particular speaks for it: it is as likely as the average sale."

_SAME_SALE: Final = "same_sale"
_POSITION: Final = "position"


@dataclass(frozen=True, slots=True)
class Explanation:
    """Where the log-odds of a purchase come from.

    ``base`` and the values of ``features``, and so those of ``groups``, sum to ``log_odds``.

    Attributes:
        sale_id: The sale.
        probability: P(buys), as in the answer.
        log_odds: Its log-odds.
        base: Log-odds of the average training example.
        features: What each feature adds, by name, in the order of the columns.
        groups: What each recommender, and each other group of features, adds; the largest
            first. Groups are ``customer``, ``sale``, ``context``, ``position``, ``list``,
            ``same_sale`` and the names of recommenders.
        sentence: The strongest reasons that speak for it, in words.
    """

    sale_id: str
    probability: float
    log_odds: float
    base: float
    features: Mapping[str, float]
    groups: Mapping[str, float]
    sentence: str


def feature_groups(schema: FeatureSchema) -> tuple[str, ...]:
    """Return the group of every feature, in the order of the columns."""
    own = {id(CROSS): _SAME_SALE, id(PLACE): _POSITION}
    names: list[str] = []
    for group in GROUPS:
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
) -> tuple[Explanation, ...]:
    """Put contributions into words.

    Args:
        query: Who asked; its rows are the sales to explain.
        contributions: Log-odds that each feature adds, the base in the last column, shape
            ``(n_sales, n_features + 1)``.
        matrix: The features, shape ``(n_sales, n_features)``.
        probabilities: P(buys), shape ``(n_sales,)``.
        schema: Names of the columns.
        topics: Names of the topics.
    """
    groups = feature_groups(schema)
    explained: list[Explanation] = []
    rows: list[int] = query.rows.tolist()
    for index, row in enumerate(rows):
        added = dict(zip(schema.names, contributions[index, :-1].tolist(), strict=True))
        sums = dict.fromkeys(groups, 0.0)
        for group, value in zip(groups, added.values(), strict=True):
            sums[group] += value
        sale = Candidate(query, row, dict(zip(schema.names, matrix[index].tolist(), strict=True)))
        explained.append(
            Explanation(
                sale_id=query.catalogue.sales[row].sale_id,
                probability=float(probabilities[index]),
                log_odds=float(contributions[index].sum()),
                base=float(contributions[index, -1]),
                features=added,
                groups=dict(sorted(sums.items(), key=lambda item: -item[1])),
                sentence=_sentence(sale, sums, added, groups=groups, topics=topics),
            )
        )
    return tuple(explained)


@dataclass(frozen=True, eq=False)
class Candidate:
    """A sale whose rank is explained.

    Attributes:
        query: Who asked.
        row: Its catalogue row.
        values: Its features by name.
    """

    query: Query
    row: int
    values: Mapping[str, float]

    @property
    def has_history(self) -> bool:
        """Whether the customer did anything with sales that are known."""
        return len(self.query.history) > 0

    def main_topic(self) -> int | None:
        """Return the topic that its picture shows most of."""
        shares = self.query.catalogue.topics[self.row]
        return int(np.argmax(shares)) if shares.size and shares.max() > 0 else None

    def n_alike(self, topic: int) -> int:
        """Count the other sales of this main topic that he touched in the last 7 days."""
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
    """Name the strongest groups that speak for the sale and about which something true is known."""
    reasons: list[str] = []
    for group in sorted(sums, key=lambda name: -sums[name]):
        if sums[group] < WORTH_TELLING or len(reasons) == MAX_REASONS:
            break
        inside = [name for name, of in zip(added, groups, strict=True) if of == group]
        reason = _reason(group, max(inside, key=lambda name: added[name]), sale, topics=topics)
        if reason and reason not in reasons:
            reasons.append(reason)
    if not reasons:
        return NO_REASON
    text = "; ".join(reasons)
    return f"{text[0].upper()}{text[1:]}."


def _reason(group: str, feature: str, sale: Candidate, *, topics: Topics) -> str | None:
    if group in _WORDS:
        return _WORDS[group](sale, feature, topics)
    return f"the recommender {group!r} puts it forward"


def _same_sale(sale: Candidate, feature: str, topics: Topics) -> str | None:
    del feature, topics
    opened = round(sale.values["same_sale_views"])
    return f"he opened it {_times(opened)} before" if opened else None


def _popularity(sale: Candidate, feature: str, topics: Topics) -> str | None:
    del sale, topics
    return "rising in the last hours" if feature == "popularity_trend" else "popular now"


def _content(sale: Candidate, feature: str, topics: Topics) -> str | None:
    del feature
    topic = sale.main_topic()
    if not sale.has_history:
        return None
    alike = sale.n_alike(topic) if topic is not None else 0
    if topic is None or not alike:
        return "close to what he looked at before"
    sales = "sale" if alike == 1 else f"{alike} sales"
    return f"like the {sales} of {topics.names[topic]!r} that he opened this week"


def _images(sale: Candidate, feature: str, topics: Topics) -> str | None:
    if feature == "images_look_alikes":
        return "sales with pictures like this one sell well"
    return _content(sale, feature, topics)


def _others(sale: Candidate, feature: str, topics: Topics) -> str | None:
    del feature, topics
    return "customers who opened the same sales turn to it" if sale.has_history else None


def _visit(sale: Candidate, feature: str, topics: Topics) -> str | None:
    del feature, topics
    return "visits like this one turn to it next" if sale.has_history else None


def _audience(sale: Candidate, feature: str, topics: Topics) -> str | None:
    del sale, topics
    return _AUDIENCES.get(feature)


def _text(sale: Candidate, feature: str, topics: Topics) -> str | None:
    del feature, topics
    return "its text is like those of what he looked at" if sale.has_history else None


def _sale(sale: Candidate, feature: str, topics: Topics) -> str | None:
    del topics
    if feature == "sale_discount" and sale.values[feature] > 0:
        return f"{sale.values[feature]:.0%} below its original price"
    return {
        "sale_price": "its price",
        "sale_age": "for how long it has been open",
        "sale_time_left": "how soon it closes",
    }.get(feature)


def _listed(sale: Candidate, feature: str, topics: Topics) -> str | None:
    del sale, topics
    return "its place in the list that was given" if feature == "list_rank" else None


def _nothing(sale: Candidate, feature: str, topics: Topics) -> None:
    """Give no reason: what is the same for all sales speaks for none of them."""
    del sale, feature, topics


_WORDS: Final[Mapping[str, Callable[[Candidate, str, Topics], str | None]]] = {
    Scope.CUSTOMER: _nothing,
    Scope.CONTEXT: _nothing,
    _POSITION: _nothing,
    Scope.SALE: _sale,
    Scope.LIST: _listed,
    _SAME_SALE: _same_sale,
    "popularity": _popularity,
    "content": _content,
    "images": _images,
    "collaborative": _others,
    "covisitation": _others,
    "session": _visit,
    "audience": _audience,
    "text": _text,
}


_AUDIENCES: Final = {
    "audience": "popular in his market",
    "audience_market": "popular in his market",
    "audience_device": "popular with customers of his device",
    "audience_segment": "customers like him open it",
}
"""What his market or device does whatever the sale is speaks for none of them."""


def _times(n: int) -> str:
    return {1: "once", 2: "twice"}.get(n, f"{n} times")
