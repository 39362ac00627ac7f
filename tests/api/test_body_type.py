"""Every route takes its body in its declared media type only.

Of any other type, or of none, a web page may post it to another site without asking first.
"""

import httpx
import pytest

from app.main import create_app
from app.resources import Worker
from app.settings import Settings
from tests.shop import sale

DOCUMENT = create_app(Settings(), Worker()).openapi()
BODIES = [
    (method.upper(), path, sorted(operation["requestBody"]["content"]))
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
    if "requestBody" in operation
]
EXAMPLES = {"{sale_id}": "alps", "{number}": "1", "{name}": "order"}


@pytest.mark.parametrize(("method", "path", "declared"), BODIES)
@pytest.mark.parametrize(
    "given", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None]
)
async def test_a_body_of_another_type_is_refused(
    client: httpx.AsyncClient, method: str, path: str, declared: list[str], given: str | None
) -> None:
    for name, value in EXAMPLES.items():
        path = path.replace(name, value)
    headers = {"Content-Type": given} if given else {}

    answer = await client.request(method, path, content=b"{}", headers=headers)

    code = "picture_media_type" if "image/png" in declared else "body_media_type"
    assert (answer.status_code, answer.json()["code"]) == (415, code)
    assert f"the Content-Type is {given or ''!r}: send" in answer.json()["detail"]
    assert all(one in answer.json()["detail"] for one in declared)


def test_every_route_with_a_body_says_that_it_may_refuse_its_type_and_size() -> None:
    assert len(BODIES) == 17
    for method, path, _ in BODIES:
        responses = DOCUMENT["paths"][path][method.lower()]["responses"]
        assert {"413", "415"} <= responses.keys()


@pytest.mark.parametrize("given", ["application/json; charset=utf-8", "Application/JSON"])
async def test_parameters_and_case_of_the_type_do_not_matter(
    client: httpx.AsyncClient, given: str
) -> None:
    body = sale("new").model_dump_json(exclude_defaults=True)

    answer = await client.put("/v1/sales/new", content=body, headers={"Content-Type": given})

    assert answer.status_code == 201
