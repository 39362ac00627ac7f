"""Request id, headers and metrics of every answer."""

import gzip
import json
from collections.abc import AsyncGenerator
from io import StringIO
from pathlib import Path

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.api.middleware.request_context import RequestContext
from app.resources import Worker
from app.settings import Settings
from tests.shop import JSON

PATHS = ["/health/live", "/v1/recommendations?customer_id=c1", "/v1/recommendations", "/nowhere"]


@pytest.mark.parametrize("path", PATHS)
async def test_every_answer_is_safe_to_show(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)

    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


@pytest.mark.parametrize("path", PATHS)
async def test_a_callers_request_id_comes_back(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path, headers={"X-Request-Id": "page-17_a"})

    assert answer.headers["x-request-id"] == "page-17_a"


@pytest.mark.parametrize("given", [b"", b"a b", b"{}", b"x" * 65, "é".encode()])
async def test_a_request_id_that_could_forge_a_log_is_replaced(
    client: httpx.AsyncClient, given: bytes
) -> None:
    answer = await client.get("/health/live", headers=[(b"X-Request-Id", given)])

    assert len(answer.headers["x-request-id"]) == 32


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [("GET", "/nowhere", 404, "not_found"), ("PUT", "/v1/events", 405, "method_not_allowed")],
)
async def test_what_no_route_answers_is_a_problem_too(
    client: httpx.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    answer = await client.request(method, path)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.json()["code"], answer.json()["type"]) == (code, f"urn:vitrine:problem:{code}")


async def test_requests_are_counted_by_route_status_and_level(
    client: httpx.AsyncClient,
) -> None:
    for path in ("/v1/recommendations?customer_id=c1", "/nowhere", "/elsewhere"):
        await client.get(path)

    lines = (await client.get("/metrics")).text.splitlines()

    name = "vitrine_request_seconds_count"
    answered = (
        '{bundle="by-hand",degraded="",route="/v1/recommendations",status="200",variant=""} 1.0'
    )
    assert name + answered in lines
    assert name + '{bundle="",degraded="",route="none",status="404",variant=""} 2.0' in lines


class TestASmallLimitOfBodies:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"max_body_bytes": 1_024})

    async def test_a_body_that_announces_too_much_is_not_read(
        self, client: httpx.AsyncClient
    ) -> None:
        answer = await client.post("/v1/events", content=b" " * 1_025)

        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
        assert "1024 bytes" in answer.json()["detail"]

    async def test_a_body_that_announces_nothing_is_cut_off(
        self, client: httpx.AsyncClient
    ) -> None:
        async def endless() -> AsyncGenerator[bytes]:
            for _ in range(3):
                yield b" " * 512

        answer = await client.post("/v1/events", content=endless(), headers=JSON)

        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")

    async def test_a_body_within_the_limit_is_read(self, client: httpx.AsyncClient) -> None:
        answer = await client.post("/v1/events", content=b" " * 1_024, headers=JSON)

        assert answer.json()["code"] == "malformed"


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_a_compressed_body_is_refused_as_such_and_not_as_faulty_json(
    client: httpx.AsyncClient, method: str
) -> None:
    path = "/v1/events" if method == "POST" else "/v1/sales/s1/image"

    answer = await client.request(
        method, path, content=gzip.compress(b"{}"), headers={"Content-Encoding": "GZIP"}
    )

    assert (answer.status_code, answer.json()["code"]) == (415, "body_compressed")
    assert answer.json()["detail"] == "the Content-Encoding is 'gzip': send the body uncompressed"
    assert answer.headers["accept-encoding"] == "identity"


async def test_a_body_that_says_it_is_not_compressed_is_read(client: httpx.AsyncClient) -> None:
    answer = await client.post(
        "/v1/events", content=b"{}", headers=JSON | {"Content-Encoding": "identity"}
    )

    assert answer.json()["code"] == "malformed"


async def test_a_method_that_a_path_does_not_have_is_answered_with_all_that_it_has(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.patch("/v1/sales/s1")

    assert (answer.status_code, answer.headers["allow"]) == (405, "DELETE, GET, PUT")


async def test_a_path_of_its_own_is_no_name_among_others(client: httpx.AsyncClient) -> None:
    answer = await client.options("/v1/experiments/audit")

    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")


class TestAnOpenService:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"open_to_network": True})

    async def test_a_slash_too_many_is_no_redirect_to_where_the_caller_says(
        self, client: httpx.AsyncClient
    ) -> None:
        answer = await client.get("/v1/recommendations/", headers={"Host": "elsewhere.example"})

        assert answer.status_code == 404
        assert answer.json()["code"] == "not_found"
        assert "location" not in answer.headers


async def test_the_document_is_rendered_once(client: httpx.AsyncClient) -> None:
    first, second = await client.get("/openapi.json"), await client.get("/openapi.json")
    head = await client.head("/openapi.json")

    assert first.json()["info"]["title"] == "Vitrine"
    assert first.content == second.content
    assert head.headers["content-length"] == str(len(first.content))
    assert head.headers["content-type"] == "application/json"


class TestAFaultOfTheService:
    """The folder of the workers' metrics is gone, so that `GET /metrics` raises."""

    @pytest.fixture
    def worker(self, tmp_path: Path) -> Worker:
        return Worker(metrics_dir=str(tmp_path / "gone"))

    async def test_is_a_problem_with_the_headers_of_every_answer(
        self, client: httpx.AsyncClient
    ) -> None:
        answer = await client.get("/metrics", headers={"X-Request-Id": "scrape-17"})

        assert (answer.status_code, answer.json()["code"]) == (500, "internal")
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["x-request-id"] == "scrape-17"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["server-timing"].startswith("total;dur=")

    async def test_is_logged_once_with_the_request_id_of_its_answer(
        self, client: httpx.AsyncClient, written: StringIO
    ) -> None:
        answer = await client.get("/metrics")

        errors = errors_in(written)
        assert [line["request_id"] for line in errors] == [answer.headers["x-request-id"]]
        assert errors[0]["route"] == "/metrics"
        assert "ValueError" in str(errors[0]["exception"])

    async def test_is_counted_as_500(self, client: httpx.AsyncClient, worker: Worker) -> None:
        await client.get("/metrics")

        labels = {"route": "/metrics", "status": "500", "variant": "", "bundle": "", "degraded": ""}
        name = "vitrine_request_seconds_count"
        assert worker.metrics.registry.get_sample_value(name, labels) == 1.0


async def test_an_answer_that_fails_after_it_has_begun_is_cut_off(written: StringIO) -> None:
    async def half(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        msg = "the other half is lost"
        raise ArithmeticError(msg)

    def unused(_request: Request, _exc: Exception) -> Response:
        raise AssertionError

    app = RequestContext(half, Worker(), slow_s=60.0, logs_access=False, render_error=unused)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://vitrine") as client:
        with pytest.raises(ArithmeticError, match="the other half"):
            await client.get("/", headers={"X-Request-Id": "page-18"})

    assert [line["request_id"] for line in errors_in(written)] == ["page-18"]


def errors_in(written: StringIO) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    return [line for line in lines if line["level"] == "error"]
