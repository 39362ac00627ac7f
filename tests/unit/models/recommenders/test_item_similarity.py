"""Interest in the sales that go with a candidate: by hand."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from models.arrays.array_file import Arrays
from models.domain.event import EventType, key
from models.recommenders.covisitation import Covisitation
from models.recommenders.item_similarity import ItemSimilarity
from tests.builders import Seen, catalogue, query, sale

CLICK = EventType.CLICK
NAMES = ["slope", "piste", "sea"]
SHOP = catalogue(*map(sale, NAMES))


def keys(*names: str) -> NDArray[np.uint64]:
    return np.array([key(name) for name in names], dtype=np.uint64)


def companions(**strengths: dict[str, float]) -> ItemSimilarity:
    """Up to two companions of each sale."""
    ordered = sorted(strengths, key=key)
    names = [[*strengths[name], "gone", "gone"][:2] for name in ordered]
    values = [[*strengths[name].values(), 0.0, 0.0][:2] for name in ordered]
    return ItemSimilarity(keys(*ordered), np.stack([keys(*row) for row in names]), np.array(values))


TOGETHER = companions(piste={"slope": 0.5, "gone": 0.25}, sea={"piste": 0.1}, gone={"sea": 9.0})


def interest(*events: Seen) -> list[float]:
    return Covisitation(TOGETHER).scores(query(SHOP, *events, candidates=NAMES))[:, 0].tolist()


def test_interest_in_companions_is_summed_by_strength() -> None:
    slope, piste, sea = interest((CLICK, "slope", 0.0), (CLICK, "piste", 0.0))

    assert math.isnan(slope)  # nothing is known to go with it
    assert [piste, sea] == pytest.approx([0.5 / 2.5, 0.1 / 2.5])


def test_interest_fades_by_half_in_two_weeks() -> None:
    _, piste, sea = interest((CLICK, "slope", 14 * 86_400.0))

    assert [piste, sea] == pytest.approx([0.5 * 0.5 / (0.5 + 0.5), 0.0])


def test_companions_are_found_in_other_catalogues() -> None:
    """Rows differ from catalogue to catalogue, keys do not; a companion may be unknown."""
    other = catalogue(sale("new"), sale("sea"), sale("piste"))

    asked = query(other, (CLICK, "piste", 0.0), candidates=["new", "sea", "piste"])
    found = Covisitation(TOGETHER).scores(asked)[:, 0]

    assert found.tolist() == pytest.approx([math.nan, 0.1 / 1.5, math.nan], nan_ok=True)


def test_the_recommender_round_trips() -> None:
    content = Arrays(Covisitation(TOGETHER).to_arrays()).to_bytes()
    asked = query(SHOP, (CLICK, "slope", 0.0), candidates=NAMES)

    again = Covisitation.from_arrays(Arrays.from_bytes(content))

    np.testing.assert_array_equal(again.scores(asked), Covisitation(TOGETHER).scores(asked))
    np.testing.assert_array_equal(again.scores(asked)[:, 0], interest((CLICK, "slope", 0.0)))


def test_companions_that_do_not_fit_are_refused() -> None:
    broken = {**TOGETHER.to_arrays(), "strengths": np.zeros((1, 2))}

    with pytest.raises(ValueError, match="strengths of"):
        ItemSimilarity.from_arrays(Arrays(broken))
