"""Experiments as flags of OpenFeature, by its SDK, against a running service."""

from collections.abc import Generator
from pathlib import Path

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason

from deploy.client.vitrine_client import Client
from deploy.client.vitrine_client.openfeature import VitrineProvider
from tests.contract.servers import free_port
from tests.end_to_end.service import http, serving_shop
from tests.plans import LAYER, terms

pytestmark = pytest.mark.slow

CUSTOMERS = [EvaluationContext(f"c-{number}") for number in range(40)]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: tuple[Path, Path]) -> Generator[str]:
    folder = tmp_path_factory.mktemp("openfeature")
    with serving_shop(folder, tiny_bundle) as service:
        plan = {"layers": [LAYER], "experiments": [{"name": "order", **terms(3_000)}]}
        assert http.put(f"{service.url}/v1/plan", json=plan).status_code == 200
        yield service.url


@pytest.fixture
def flags(url: str) -> Generator[OpenFeatureClient]:
    with Client(url, timeout_s=20) as client:
        api.set_provider(VitrineProvider(client))
        yield api.get_client()
        api.clear_providers()


def test_a_variant_is_the_value_of_a_flag(flags: OpenFeatureClient, url: str) -> None:
    found = [flags.get_string_details("order", "neither", who) for who in CUSTOMERS]

    expected = [
        http.get(f"{url}/v1/assignments?customer_id={who.targeting_key}").json()["items"][0]
        for who in CUSTOMERS
    ]
    assert [one.value for one in found] == [one["variant"] for one in expected]
    assert {one.value for one in found} == {"meta", "popularity"}
    assert {one.reason for one in found} == {Reason.SPLIT}
    shares = {one.value: one.flag_metadata["share_bp"] for one in found}
    assert shares == {"meta": 7_000, "popularity": 3_000}


async def test_an_event_loop_may_wait_for_it(flags: OpenFeatureClient) -> None:
    who = CUSTOMERS[0]

    found = await flags.get_string_value_async("order", "neither", who)

    assert found == flags.get_string_value("order", "neither", who)


def test_an_experiment_that_there_is_not_has_the_default_value(flags: OpenFeatureClient) -> None:
    found = flags.get_string_details("colour", "red", CUSTOMERS[0])

    assert (found.value, found.reason, found.error_code) == ("red", Reason.DEFAULT, None)


def test_what_cannot_be_answered_has_the_default_value_and_says_why(
    flags: OpenFeatureClient,
) -> None:
    nobody = flags.get_string_details("order", "meta", EvaluationContext())
    number = flags.get_integer_details("order", 3, CUSTOMERS[0])
    with Client(f"http://127.0.0.1:{free_port()}", timeout_s=0.2) as away:
        api.set_provider(VitrineProvider(away))
        silent = flags.get_string_details("order", "meta", CUSTOMERS[0])

    assert (nobody.value, nobody.error_code) == ("meta", ErrorCode.TARGETING_KEY_MISSING)
    assert "session_id" in str(nobody.error_message)
    assert (number.value, number.error_code) == (3, ErrorCode.TYPE_MISMATCH)
    assert (silent.value, silent.error_code) == ("meta", ErrorCode.GENERAL)
    assert "log" in str(silent.error_message)
