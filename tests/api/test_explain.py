"""Why a sale is shown, for who asks; and what happens when that cannot be said."""

import logging
import math
from dataclasses import dataclass
from typing import cast

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from app.catalogue.model import Model
from models.ranker.explanation import LESS_LIKELY
from tests.shop import BrokenRanker, CategoryRanker, scorer

URL = "/v1/recommendations"


@dataclass(frozen=True)
class SpeechlessRanker(CategoryRanker):
    """A model that scores, and cannot say why."""

    def contributions(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        msg = f"no reasons for {len(matrix)} sales"
        raise ArithmeticError(msg)


@dataclass(frozen=True)
class FirstFeature(CategoryRanker):
    """A model whose log-odds are half the first feature's work."""

    def contributions(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        added = super().contributions(matrix)
        added[:, 0] = added[:, -1] = added[:, -1] / 2
        return added


@pytest.fixture
def model() -> Model:
    return Model(scorer=scorer(ranker=FirstFeature()))


async def test_the_contributions_sum_to_the_log_odds_of_the_answer(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get(URL, params={"explain": True, "limit": 2})

    items = answer.json()["items"]
    assert len(items) == 2
    for item in items:
        reasons, p = item["explanation"], item["purchase_probability"]
        added = [part["log_odds"] for part in reasons["contributions"]]
        assert reasons["log_odds"] == pytest.approx(math.log(p / (1 - p)))
        assert reasons["base"] + sum(added) == pytest.approx(reasons["log_odds"])
        assert added == sorted(added, reverse=True)
        assert sum(x != 0 for x in added) == 1
        assert reasons["sentence"] == f"No particular reason: it is {LESS_LIKELY}."
    assert "explain;dur=" in answer.headers["server-timing"]
    assert 'explanations_total{outcome="explained"} 1.0' in (await client.get("/metrics")).text


async def test_ranked_candidates_are_explained_too(client: httpx.AsyncClient) -> None:
    asked = {"candidates": ["rome", "alps"], "explain": True}

    answer = await client.post("/v1/rank", json=asked)

    sentences = [item["explanation"]["sentence"] for item in answer.json()["items"]]
    assert sentences == [f"No particular reason: it is {LESS_LIKELY}."] * 2


async def test_the_sentence_of_a_pinned_sale_begins_with_its_rule(
    client: httpx.AsyncClient,
) -> None:
    pin = {"name": "hero", "where": 'sale_id == "bali"', "action": {"kind": "pin", "rank": 1}}
    assert (await client.put("/v1/rules", json={"items": [pin]})).status_code == 200

    answer = await client.get(URL, params={"explain": True, "limit": 2})

    first, second = (item["explanation"]["sentence"] for item in answer.json()["items"])
    reason = f"No particular reason: it is {LESS_LIKELY}."
    assert (first, second) == (f"Placed by the rule 'hero'. {reason}", reason)


async def test_nothing_is_explained_unasked(client: httpx.AsyncClient) -> None:
    answer = await client.get(URL)

    assert {item["explanation"] for item in answer.json()["items"]} == {None}
    assert "explain;dur=" not in answer.headers["server-timing"]


class TestAModelWithoutReasons:
    @pytest.fixture
    def model(self) -> Model:
        return Model(scorer=scorer(ranker=SpeechlessRanker()))

    async def test_the_answer_goes_out_without(
        self, client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.ERROR):
            answer = await client.get(URL, params={"explain": True})

        body = answer.json()
        assert (answer.status_code, body["degraded"]) == (200, None)
        assert {item["explanation"] for item in body["items"]} == {None}
        assert None not in {item["purchase_probability"] for item in body["items"]}
        assert 'explanations_total{outcome="failed"} 1.0' in (await client.get("/metrics")).text


class TestNoModel:
    @pytest.fixture
    def model(self) -> Model:
        return Model(scorer=scorer(ranker=BrokenRanker()))

    async def test_there_is_nothing_to_explain(self, client: httpx.AsyncClient) -> None:
        items = (await client.get(URL, params={"explain": True})).json()["items"]

        assert cast("list[object]", items) != []
        assert {item["explanation"] for item in items} == {None}
