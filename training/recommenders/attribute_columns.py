"""Chooses columns of attributes: those in which sales or customers differ most often."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.catalogue.attributes import AttributeColumns, is_comparable, unused_because
from models.domain.sale import AttributeValue, AttributeValues
from models.features.attributes import AttributeFeatures
from training.recommenders.interactions import Interactions

MIN_SHARE: Final = 1e-3  # chosen, not measured: rarer values say nothing about other sales
"""Texts with a smaller share of the weight are left out."""


MAX_FEATURES: Final = 20  # chosen: a shop may have a hundred columns, and 300 texts in them
"""Features of attributes of sales, and as many of customers."""


def choose_attributes(interactions: Interactions) -> AttributeFeatures:
    """Choose the features of attributes: of exposed sales, and of customers with events."""
    sales = [sale.attributes for sale in interactions.catalogue.sales]
    codes = np.unique(interactions.customers).tolist()
    customers = [interactions.attributes.attributes(code) for code in codes]
    return AttributeFeatures(
        choose_columns(sales, interactions.looks_by_sale(), most=MAX_FEATURES),
        choose_columns(customers, np.ones(len(codes)), most=MAX_FEATURES),
    )


def choose_columns(
    described: Sequence[AttributeValues], weights: NDArray[np.float64], *, most: int
) -> AttributeColumns:
    """Choose the columns in which two draws differ most often, which needs no outcome.

    Args:
        described: Attributes of sales or customers.
        weights: How often each is drawn, shape ``(n,)``.
        most: Number of columns.
    """
    numbers, texts = usable_attributes(described, weights)
    differ: dict[tuple[str, str | None], float] = {
        (name, text): 2 * share * (1 - share) for (name, text), share in texts.items()
    }
    total = max(float(weights.sum()), 1e-9)
    for name in numbers:
        values = [attributes.get(name) for attributes in described]
        known = [
            (value, weight)
            for value, weight in zip(values, weights.tolist(), strict=True)
            if value is not None and not isinstance(value, str)
        ]
        _, place = np.unique([float(value) for value, _ in known], return_inverse=True)
        shares = np.bincount(place, weights=[weight for _, weight in known]) / total
        differ[name, None] = float(shares.sum() ** 2 - np.square(shares).sum())
    order = sorted(differ, key=lambda one: (-differ[one], one[0], one[1] or ""))[:most]
    return AttributeColumns(
        tuple(sorted(name for name, text in order if text is None)),
        tuple(sorted((name, text) for name, text in order if text is not None)),
    )


def usable_attributes(
    described: Sequence[AttributeValues], weights: NDArray[np.float64]
) -> tuple[tuple[str, ...], dict[tuple[str, str], float]]:
    """Choose the attributes that can say something about other sales or customers.

    Args:
        described: Attributes of sales or customers.
        weights: How much each counts, such as `Interactions.looks_by_sale`, shape ``(n,)``.

    Returns:
        Names of numbers and flags, and shares of the weight by name and text, of those with a
        weight; see `unused_because`.
    """
    rows: list[int] = np.flatnonzero(weights).tolist()
    every = [described[row] for row in rows]
    parts: list[float] = (weights[rows] / max(float(weights.sum()), 1.0)).tolist()
    names: set[str] = set()
    for attributes in every:
        names.update(attributes)
    numbers: list[str] = []
    shares: dict[tuple[str, str], float] = {}
    # One attribute at a time: article numbers of all sales are held once, not once an attribute.
    for name in filter(is_comparable, sorted(names)):
        values = [attributes.get(name) for attributes in every]
        known = [one for one in values if one is not None and not isinstance(one, str)]
        n_distinct = len(set(known))
        if not unused_because(name, n_distinct=n_distinct, n_values=len(known), is_text=False):
            numbers.append(name)
        found = _text_shares(name, values, parts)
        shares |= {(name, text): share for text, share in found.items() if share >= MIN_SHARE}
    return tuple(numbers), shares


def _text_shares(
    name: str, values: Sequence[AttributeValue], weights: Sequence[float]
) -> Mapping[str, float]:
    """Return the sum of the weights of each text of an attribute; none of one that is not used."""
    shares: defaultdict[str, float] = defaultdict(float)
    n_texts = 0
    for value, weight in zip(values, weights, strict=True):
        if isinstance(value, str) and is_comparable(value):
            shares[value] += weight
            n_texts += 1
    why = unused_because(name, n_distinct=len(shares), n_values=n_texts, is_text=True)
    return {} if why else shares
