"""Access log: a line of each request where it is asked for, without customers."""

import json
from io import StringIO

import httpx
import pytest

from app.settings import Settings


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"access_log": True})


async def test_each_request_is_a_line_that_names_no_customer(
    client: httpx.AsyncClient, written: StringIO
) -> None:
    await client.get("/v1/recommendations?customer_id=visitor", headers={"X-Request-Id": "r-1"})
    await client.get("/v1/nothing/visitor")

    lines = [json.loads(one) for one in written.getvalue().splitlines() if "vitrine.access" in one]
    assert [(one["method"], one["route"], one["status"]) for one in lines] == [
        ("GET", "/v1/recommendations", 200),
        ("GET", "none", 404),
    ]
    assert (lines[0]["request_id"], lines[0]["key"], lines[0]["degraded"]) == ("r-1", "", "")
    assert lines[0]["total_ms"] > 0
    assert lines[0]["level"] == "info"
    assert "visitor" not in json.dumps(lines)
