"""Web pages: where they are on, the headers that they have, and what needs no key."""

from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from app import __version__
from app.main import create_app
from app.resources import Worker
from app.settings import Settings
from models.domain.sale import Sale
from tests.shop import sale

EVIL = {"Host": "evil.example"}


async def test_the_front_says_what_is_served(client: httpx.AsyncClient) -> None:
    answer = await client.get("/")

    assert answer.json() == {
        "service": "vitrine",
        "version": __version__,
        "pages": ["/docs", "/insight"],
        "openapi": "/openapi.json",
        "health": "/health/ready",
    }


@pytest.mark.parametrize(
    "path", ["/docs", "/insight", "/web/docs.js", "/web/swagger/swagger-ui.css"]
)
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
    first = await client.get("/web/docs.css")
    again = await client.get("/web/docs.css", headers={"If-None-Match": first.headers["etag"]})
    changed = await client.get("/web/docs.css", headers={"If-None-Match": '"earlier"'})

    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert (changed.status_code, changed.content) == (200, first.content)


@pytest.mark.parametrize(
    "path", ["/web/nothing.js", "/web/", "/web/../page_file.py", "/web/%2e%2e/routes.py"]
)
async def test_there_are_no_other_files(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 404


async def test_a_page_is_only_read(client: httpx.AsyncClient) -> None:
    answer = await client.post("/docs")

    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


def paths_of(settings: Settings) -> set[str]:
    app: FastAPI = create_app(settings, Worker())
    found = {getattr(route, "path", "") for route in app.router.routes}
    return found & {"/", "/demo", "/docs", "/web", "/web/{path:path}"}


def test_pages_are_on_where_only_this_machine_reaches_them() -> None:
    everything = {"/", "/docs", "/web", "/web/{path:path}"}
    network = {"host": "10.0.0.1", "open_to_network": True}

    assert paths_of(Settings()) == everything
    assert paths_of(Settings.model_validate(network)) == {"/"}
    assert paths_of(Settings.model_validate({**network, "web_pages": True})) == everything
    assert paths_of(Settings(web_pages=False)) == {"/"}


class TestShopWindow:
    """With `demo`, a dataset of two pictures: one is a picture, the other a page."""

    @pytest.fixture
    def stock(self) -> list[Sale]:
        named = {"alps/1": "alps.jpg", "rome": "rome.jpg", "bali": "gone.jpg", "nice": None}
        return [sale(sale_id, image=image) for sale_id, image in named.items()]

    @pytest.fixture
    def settings(self, settings: Settings, tmp_path: Path) -> Settings:
        images = tmp_path / "shop/images"
        images.mkdir(parents=True)
        (images / "alps.jpg").write_bytes(b"\xff\xd8\xff and more")
        (images / "rome.jpg").write_bytes(b"<script>alert(1)</script>")
        (images / "pool.png").write_bytes(b"\x89PNG\r\n\x1a\n and more")
        (tmp_path / "shop/sales.csv").write_text(
            "sale_id,opens_at,image\nalps/1,2026-01-01T00:00:00Z,alps.jpg|pool.png\n"
        )
        (tmp_path / "shop/events.csv").write_text("customer_id,type\nc1,purchase\n")
        return settings.model_copy(update={"demo": tmp_path / "shop"})

    async def test_people_are_led_to_it(self, client: httpx.AsyncClient) -> None:
        front = await client.get("/")

        assert (front.status_code, front.headers["location"]) == (307, "/demo")
        assert (await client.get("/demo")).headers["content-type"] == "text/html; charset=utf-8"
        assert (await client.get("/web")).json()["pages"] == ["/docs", "/insight", "/demo"]

    async def test_no_text_can_become_a_script(self, client: httpx.AsyncClient) -> None:
        policy = (await client.get("/demo")).headers["content-security-policy"]

        assert "require-trusted-types-for 'script'; trusted-types 'none'" in policy
        assert "unsafe" not in policy

    async def test_a_picture_is_that_of_its_sale(self, client: httpx.AsyncClient) -> None:
        answer = await client.get("/demo/pictures/alps%2F1")

        assert (answer.status_code, answer.content) == (200, b"\xff\xd8\xff and more")
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")

    async def test_a_picture_of_a_number_is_that_of_the_dataset(
        self, client: httpx.AsyncClient
    ) -> None:
        found = [
            await client.get("/demo/pictures/alps%2F1", params={"number": number})
            for number in ("1", "2", "3", "0", "x", "9" * 5_000)
        ]

        assert [one.status_code for one in found] == [200, 200, 404, 404, 404, 404]
        assert [one.headers["content-type"] for one in found[:2]] == ["image/jpeg", "image/png"]

    @pytest.mark.parametrize("sale_id", ["rome", "bali", "nice", "unknown", "..%2Fevents.csv"])
    async def test_nothing_else_is(self, client: httpx.AsyncClient, sale_id: str) -> None:
        answer = await client.get(f"/demo/pictures/{sale_id}")

        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")

    async def test_customers_are_those_of_the_dataset(self, client: httpx.AsyncClient) -> None:
        (one,) = (await client.get("/demo/customers")).json()["items"]

        assert (one["customer_id"], one["kind"], one["market"]) == ("c1", "buys", None)

    async def test_customers_of_a_foreign_page_are_refused(self, client: httpx.AsyncClient) -> None:
        answer = await client.get("/demo/customers", headers=EVIL)

        assert (answer.status_code, answer.json()["code"]) == (403, "foreign_host")
