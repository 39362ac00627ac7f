"""Pages for people: where they are on, the headers that they have, and what needs no key."""

import httpx
import pytest
from fastapi import FastAPI

from app import __version__
from app.main import create_app
from app.resources import Worker
from app.settings import Settings

EVIL = {"Host": "evil.example"}


async def test_the_front_says_what_is_served(client: httpx.AsyncClient) -> None:
    answer = await client.get("/")

    assert answer.json() == {
        "service": "vitrine",
        "version": __version__,
        "pages": ["/docs"],
        "openapi": "/openapi.json",
        "health": "/health/ready",
    }


@pytest.mark.parametrize("path", ["/docs", "/pages/docs.js", "/pages/swagger/swagger-ui.css"])
async def test_a_page_loads_nothing_from_elsewhere_and_is_embedded_nowhere(
    client: httpx.AsyncClient, path: str
) -> None:
    answer = await client.get(path, headers=EVIL)

    assert answer.status_code == 200
    policy = dict(
        one.split(" ", 1) for one in answer.headers["content-security-policy"].split("; ")
    )
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == "'self'"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-cache"


async def test_a_browser_that_has_the_file_is_not_sent_it_again(client: httpx.AsyncClient) -> None:
    first = await client.get("/pages/docs.css")
    again = await client.get("/pages/docs.css", headers={"If-None-Match": first.headers["etag"]})
    changed = await client.get("/pages/docs.css", headers={"If-None-Match": '"earlier"'})

    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert (changed.status_code, changed.content) == (200, first.content)


@pytest.mark.parametrize(
    "path", ["/pages/nothing.js", "/pages/", "/pages/../page_file.py", "/pages/%2e%2e/routes.py"]
)
async def test_there_are_no_other_files(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 404


async def test_a_page_is_only_read(client: httpx.AsyncClient) -> None:
    answer = await client.post("/docs")

    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


def paths_of(settings: Settings) -> set[str]:
    app: FastAPI = create_app(settings, Worker())
    found = (getattr(route, "path", "") for route in app.router.routes)
    return {path for path in found if path in {"/", "/docs", "/pages/{path:path}"}}


def test_pages_are_on_where_only_this_machine_reaches_them() -> None:
    everything = {"/", "/docs", "/pages/{path:path}"}
    network = {"host": "10.0.0.1", "open_to_network": True}

    assert paths_of(Settings()) == everything
    assert paths_of(Settings.model_validate(network)) == {"/"}
    assert paths_of(Settings.model_validate({**network, "pages": True})) == everything
    assert paths_of(Settings(pages=False)) == {"/"}
