"""A service without keys answers its own machine, and no web page of another origin."""

import json
from io import StringIO
from pathlib import Path

import httpx
import pytest

from app.resources import Worker
from app.security.key import KeyFile
from app.security.key_ring import write_keys
from app.settings import Settings

SALES = "/v1/sales"
EVIL = {"Host": "evil.example"}


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8000", "127.0.0.1", "127.8.9.1:8000", "[::1]", "[::1]:8000"]
)
async def test_this_machine_is_answered_by_its_names(client: httpx.AsyncClient, host: str) -> None:
    assert (await client.get(SALES, headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example"),
        *("10.0.0.1", "0.0.0.0", "[2001:db8::1]", "[::1", "", ":8000"),  # noqa: S104 - refused
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_another_name_is_refused(
    client: httpx.AsyncClient, worker: Worker, method: str, host: str
) -> None:
    """A page whose name resolves to 127.0.0.1 reads and changes as one of this machine."""
    answer = await client.request(method, f"{SALES}", headers={"Host": host})

    assert (answer.status_code, answer.json()["code"]) == (403, "foreign_host")
    assert f"the Host is {host!r}" in answer.json()["detail"]
    labels = {"code": "foreign_host", "key": ""}
    counted = worker.metrics.registry.get_sample_value("vitrine_refused_requests_total", labels)
    assert counted == 1.0


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "http://localhost:3000", "http://127.0.0.1", "localhost", ""],
)
async def test_a_page_of_another_origin_is_refused(client: httpx.AsyncClient, origin: str) -> None:
    answer = await client.post("/v1/bundles/rollback", headers={"Origin": origin})

    assert (answer.status_code, answer.json()["code"]) == (403, "foreign_origin")
    assert f"the Origin is {origin!r}" in answer.json()["detail"]


async def test_the_same_origin_is_answered(client: httpx.AsyncClient) -> None:
    headers = {"Host": "127.0.0.1:8000", "Origin": "http://127.0.0.1:8000"}

    assert (await client.get(SALES, headers=headers)).status_code == 200


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/v2", "/openapi.json"])
async def test_probes_may_use_any_name(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path, headers=EVIL)).status_code == 200


async def test_a_refused_change_is_in_the_audit_log_with_its_route(
    client: httpx.AsyncClient, written: StringIO
) -> None:
    await client.delete("/v1/customers/c1", headers=EVIL)

    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    line = next(line for line in lines if line["event"] == "a change was refused")
    assert (line["code"], line["method"]) == ("foreign_host", "DELETE")
    assert line["route"] == "/v1/customers/{customer_id}"


class TestAServiceWithKeys:
    @pytest.fixture
    def settings(self, settings: Settings, tmp_path: Path) -> Settings:
        write_keys(tmp_path / "keys.json", KeyFile(keys=()))
        return settings.model_copy(update={"keys": tmp_path / "keys.json"})

    async def test_the_key_decides_and_not_the_name(self, client: httpx.AsyncClient) -> None:
        answer = await client.get(SALES, headers=EVIL | {"Origin": "http://evil.example"})

        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


class TestAServiceOpenToTheNetwork:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"open_to_network": True})

    async def test_any_name_is_answered(self, client: httpx.AsyncClient) -> None:
        assert (await client.get(SALES, headers=EVIL)).status_code == 200
