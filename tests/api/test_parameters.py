"""Parameters of URLs, and keys of bodies: what can be read in two ways is refused by name."""

from typing import Annotated, cast

import httpx
import pytest
from fastapi import APIRouter, Depends, Header, Query, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel

from app.api import assignments, catalogue, recommendations, sales
from app.api.direct_route import DirectRoute
from app.api.repeated_key import repeated_key
from tests.shop import JSON, NDJSON

LISTS = {"exclude", "fields", "variant"}
PATHS = {
    route.path.replace("{sale_id}", "alps"): route
    for module in (assignments, catalogue, recommendations, sales)
    for route in module.router.routes
    if isinstance(route, APIRoute) and route.dependant.query_params
}


def names(route: APIRoute) -> list[str]:
    """The parameters of a route, those of its model one by one."""
    (field,) = route.dependant.query_params
    return [*cast("type[BaseModel]", field.field_info.annotation).model_fields]


@pytest.mark.parametrize("path", PATHS)
async def test_a_parameter_that_is_no_list_is_given_once(
    client: httpx.AsyncClient, path: str
) -> None:
    once = [name for name in names(PATHS[path]) if name not in LISTS]

    for name in once:
        answer = await client.get(f"{path}?{name}=1&{name}=2")

        assert answer.status_code == 422
        assert f"query.{name}: given 2 times: give it once" in answer.json()["detail"]


async def test_lists_are_given_an_item_at_a_time(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/recommendations?exclude=alps&exclude=bali")

    assert answer.status_code == 200
    assert {"alps", "bali"}.isdisjoint(item["sale_id"] for item in answer.json()["items"])


@pytest.mark.parametrize("number", ["1_0", "10.0", "%2010", "1e1", "+1", "", "%D9%A1"])
@pytest.mark.parametrize(
    "url", ["/v1/recommendations?limit=", "/v1/sales?limit=", "/v1/sales/alps/similar?limit="]
)
async def test_a_number_is_written_in_digits(
    client: httpx.AsyncClient, url: str, number: str
) -> None:
    answer = await client.get(url + number)

    assert (answer.status_code, answer.json()["code"]) == (422, "malformed")
    assert answer.json()["errors"][0]["location"] == "query.limit"


@pytest.mark.parametrize("number", ["0_1", "1.0"])
async def test_a_number_of_a_path_is_written_in_digits(
    client: httpx.AsyncClient, number: str
) -> None:
    assert (await client.delete(f"/v1/sales/alps/images/{number}")).status_code == 422
    assert (await client.get(f"/v1/promotions/{number}")).status_code == 422


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/v1/sales/new", '{"opens_at":"2026-01-01T00:00:00Z","price":1,"price":2}'),
        ("PUT", "/v1/sales/new", '{"opens_at":"2026-01-01T00:00:00Z","attributes":{"a":1,"a":1}}'),
        ("POST", "/v1/rank", '{"candidates":["alps"],"candidates":["bali"]}'),
        ("POST", "/v1/events", '{"events":[],"\\u0065vents":[]}'),
    ],
)
async def test_an_object_has_a_key_once(
    client: httpx.AsyncClient, method: str, path: str, body: str
) -> None:
    answer = await client.request(method, path, content=body, headers=JSON)

    assert (answer.status_code, answer.json()["code"]) == (422, "malformed")


async def test_the_line_whose_object_has_a_key_twice_is_rejected(client: httpx.AsyncClient) -> None:
    line = '{"sale_id":"%s","opens_at":"2026-01-01T00:00:00Z"%s}'

    answer = await client.post(
        "/v1/sales",
        content="\n".join([line % ("a", ""), line % ("b", ',"sale_id":"c"')]),
        headers=NDJSON,
    )

    assert [one["status"] for one in answer.json()["results"]] == ["created", "rejected"]
    assert answer.json()["results"][1]["reason"] == "an object has the key 'sale_id' twice"


@pytest.mark.parametrize(
    ("content", "key"),
    [
        (b'{"a": 1, "b": {"a": 1}}', None),
        (b'[{"a": 1}, {"a": 1}]', None),
        (b'[{"a": 1, "b": 2, "b": 3}]', "b"),
        (b'{"a": {"x": 1, "\\u0078": 2}}', "x"),
        (b'{"%s": 1, "%s": 1}' % (b"k" * 100, b"k" * 100), "k" * 64),
        (b'{"a": %s, "b": 1}' % (b"9" * 10_000), None),
        (b"[" * 100_000, None),
        (b'{"a": 1', None),
        (b"\xff", None),
    ],
)
def test_a_repeated_key_is_found_at_any_depth(content: bytes, key: str | None) -> None:
    assert repeated_key(content) == key


async def caller_name() -> str:
    return "caller"


class Parameters(BaseModel):
    limit: int = 1


def test_a_direct_route_refuses_what_it_would_leave_out() -> None:
    """A check that is added to a router as a dependency would not run."""
    router = APIRouter(route_class=DirectRoute, dependencies=[Depends(caller_name)])

    async def by_header(
        query: Annotated[Parameters, Query()], tenant: Annotated[str, Header()]
    ) -> Response: ...

    async def by_query(query: Annotated[Parameters, Query()]) -> Response: ...

    with pytest.raises(TypeError, match=r"^/sales: .* not caller_name; use APIRoute$"):
        router.get("/sales")(by_query)
    with pytest.raises(TypeError, match="not tenant"):
        APIRouter(route_class=DirectRoute).get("/sales")(by_header)
    APIRouter(route_class=DirectRoute).get("/sales")(by_query)
