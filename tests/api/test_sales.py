"""/v1/sales: sales that come, change and go, and what their pictures show."""

import asyncio
import dataclasses
import io
import struct
import zlib
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta

import httpx
import numpy as np
import pytest
from PIL import ExifTags, Image

from app.catalogue.model import Model
from app.health.worker_tasks import CATALOGUE_EVERY_S
from app.settings import Settings
from app.stores.store import Stores
from models.domain.sale import MAX_MARKETS
from models.pictures.scene_labeller import SceneLabeller
from models.pictures.topics import Topics
from tests.scenes import COLOURS
from tests.shop import (
    JSON,
    scorer,
)

NOW = datetime.now(UTC)
BODY = {"opens_at": (NOW - timedelta(hours=1)).isoformat(), "category": "ski", "price": 300.0}
TOPICS = Topics(np.array([[1.0, 0.0, 0.0], [0.0, 0.5, 0.5]]), ("Sea", "Garden – Sunset"))


@pytest.fixture
def model(labeller: SceneLabeller) -> Model:
    return Model(
        scorer=dataclasses.replace(scorer(), scene_model="colours", topics=TOPICS),
        labeller=labeller,
    )


def encoded(
    colour: tuple[int, int, int] = COLOURS["blue"],
    kind: str = "PNG",
    *,
    mode: str = "RGB",
    size: tuple[int, int] = (24, 20),
    **options: object,
) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def png_of(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims any size."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checked = kind + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" * 1_000)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


async def upload(
    client: httpx.AsyncClient,
    picture: bytes | AsyncGenerator[bytes],
    *,
    sale_id: str = "alps",
    media_type: str = "image/png",
) -> httpx.Response:
    return await client.put(
        f"/v1/sales/{sale_id}/image", content=picture, headers={"content-type": media_type}
    )


async def follow(client: httpx.AsyncClient, sale_id: str, *, shown: bool = True) -> None:
    """Wait until a sale is recommended, or no longer is; 20 polls and it never will be."""
    answer = None
    for _ in range(20):
        answer = await client.get("/v1/recommendations", params={"customer_id": "c", "limit": 100})
        if (sale_id in {item["sale_id"] for item in answer.json()["items"]}) == shown:
            return
        await asyncio.sleep(CATALOGUE_EVERY_S)
    pytest.fail(f"{sale_id} shown: {not shown}; {answer}")


async def test_a_sale_that_is_put_is_recommended(client: httpx.AsyncClient) -> None:
    answer = await client.put("/v1/sales/new", json={**BODY, "title": "Brand new"})

    assert answer.status_code == 201, answer.text
    assert (answer.json()["sale_id"], answer.json()["title"]) == ("new", "Brand new")
    await follow(client, "new")


async def test_a_sale_that_is_put_again_is_replaced_at_once(client: httpx.AsyncClient) -> None:
    await client.put("/v1/sales/new", json={**BODY, "title": "old", "price": 10})

    again = await client.put("/v1/sales/new", json={**BODY, "sale_id": "new", "title": "renamed"})
    shown = (await client.get("/v1/sales/new")).json()

    assert again.status_code == 200
    assert (shown["sale"]["title"], shown["sale"]["price"], shown["open"]) == ("renamed", 300, True)
    assert (shown["picture"], shown["neighbours"]) == (None, [])


async def test_a_deleted_sale_is_gone(client: httpx.AsyncClient) -> None:
    await upload(client, encoded())

    assert (await client.delete("/v1/sales/alps")).status_code == 204

    answers = [
        await client.get("/v1/sales/alps"),
        await client.get("/v1/sales/alps/similar"),
        await client.delete("/v1/sales/alps"),
        await upload(client, encoded()),
    ]
    assert [(a.status_code, a.json()["code"]) for a in answers] == [(404, "unknown_sale")] * 4
    await follow(client, "alps", shown=False)


async def test_a_sale_that_is_put_after_its_deletion_has_no_picture(
    client: httpx.AsyncClient,
) -> None:
    await upload(client, encoded())
    await upload(client, encoded(), sale_id="rome")
    await client.delete("/v1/sales/alps")
    await client.put("/v1/sales/alps", json=BODY)
    await client.put("/v1/sales/last", json=BODY)
    await follow(client, "last")

    shown = (await client.get("/v1/sales/alps")).json()
    near = (await client.get("/v1/sales/rome/similar")).json()

    assert (shown["picture"], near["items"]) == (None, [])


async def test_a_sale_of_another_id_than_its_path_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.put("/v1/sales/new", json={**BODY, "sale_id": "other"})

    assert (answer.status_code, answer.json()["code"]) == (409, "sale_mismatch")


@pytest.mark.parametrize(
    ("body", "location"),
    [
        (b"{", "body"),
        (b"[]", "body"),
        (b"[" * 100_000, "body"),
        (b"{}", "body.opens_at"),
        (b'{"opens_at": 1}', "body.opens_at"),
        (b'{"opens_at": "2026-01-01T00:00:00"}', "body.opens_at"),
        (b'{"opens_at": "2026-01-01T00:00:00Z", "sale_id": ""}', "body.sale_id"),
        (b'{"opens_at": "2026-01-01T00:00:00Z", "stock": -1}', "body.stock"),
        (b'{"opens_at": "2026-01-01T00:00:00Z", "prize": 1}', "body.prize"),
        (b'{"opens_at": "2026-01-01T00:00:00Z", "title": " \\u2003"}', "body.title"),
        (b'{"opens_at": "2026-01-02T00:00:00Z", "closes_at": "2026-01-01T00:00:00Z"}', "body"),
    ],
)
async def test_a_malformed_sale_is_refused_by_field(
    client: httpx.AsyncClient, body: bytes, location: str
) -> None:
    answer = await client.put("/v1/sales/new", content=body, headers=JSON)

    assert (answer.status_code, answer.json()["code"]) == (422, "malformed")
    assert answer.json()["errors"][0]["location"] == location
    assert (await client.get("/v1/sales/new")).status_code == 404


async def test_more_markets_than_a_catalogue_can_hold_are_refused(
    client: httpx.AsyncClient, stores: Stores
) -> None:
    """One sale too many would keep every worker from every later change."""
    markets = [f"m{number}" for number in range(MAX_MARKETS)]

    answer = await client.put("/v1/sales/new", json={**BODY, "markets": markets})

    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_markets")
    assert await stores.sales.read("new") is None


async def test_more_attributes_than_a_dataset_can_hold_are_refused(
    client: httpx.AsyncClient, stores: Stores
) -> None:
    """Each sale has few; all together are the columns of one file."""
    for kind in ("hotel", "flight", "cruise"):
        attributes = {f"{kind}_{n}": n for n in range(40)}
        answer = await client.put(f"/v1/sales/{kind}", json={**BODY, "attributes": attributes})

    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_attributes")
    assert await stores.sales.read("cruise") is None


async def test_a_stock_of_zero_closes_a_sale_and_more_opens_it(client: httpx.AsyncClient) -> None:
    await client.put("/v1/sales/new", json=BODY)
    await follow(client, "new")

    sold_out = (await client.put("/v1/sales/new", json={**BODY, "stock": 0})).json()
    repeated = (await client.put("/v1/sales/new", json={**BODY, "stock": 0})).json()
    closed = (await client.get("/v1/sales/new")).json()
    await follow(client, "new", shown=False)
    reopened = (await client.put("/v1/sales/new", json={**sold_out, "stock": 3})).json()

    assert NOW <= datetime.fromisoformat(sold_out["sold_out_at"]) <= datetime.now(UTC)
    assert repeated == sold_out
    assert closed["open"] is False
    assert reopened["sold_out_at"] is None
    await follow(client, "new")


@pytest.mark.parametrize(("name", "colour"), COLOURS.items())
@pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
async def test_a_picture_is_named_by_what_it_shows(
    client: httpx.AsyncClient, kind: str, name: str, colour: tuple[int, int, int]
) -> None:
    answer = await upload(client, encoded(colour, kind), media_type=f"image/{kind}; q=1")

    assert answer.status_code == 200, answer.text
    picture = answer.json()
    assert picture.pop("same_as") is None
    assert (picture["scene_model"], picture["labels"][0]["label"]) == ("colours", name)
    assert sum(label["share"] for label in picture["labels"]) == pytest.approx(1, abs=2e-4)
    assert picture["topics"][0]["topic"] == ("Sea" if name == "blue" else "Garden – Sunset")
    assert sum(topic["percent"] for topic in picture["topics"]) == pytest.approx(100, abs=0.2)
    assert isinstance(picture["unlike"], bool)
    assert (await client.get("/v1/sales/alps")).json()["picture"] == picture


async def test_a_further_picture_replaces_the_first_and_the_same_changes_nothing(
    client: httpx.AsyncClient, stores: Stores
) -> None:
    await upload(client, encoded(COLOURS["red"]))
    first = (await upload(client, encoded(COLOURS["blue"]))).json()
    version = (await stores.sales.changes(0)).version

    again = (await upload(client, encoded(COLOURS["blue"]))).json()

    assert again == first
    assert first["labels"][0]["label"] == "blue"
    assert (await stores.sales.changes(0)).version == version


async def test_a_sale_has_several_pictures_and_loses_them_one_by_one(
    client: httpx.AsyncClient,
) -> None:
    """Together they are the mean of all; a removed one leaves the numbers of the others."""
    headers = {"content-type": "image/png"}
    await upload(client, encoded(COLOURS["red"]))
    third = await client.put(
        "/v1/sales/alps/images/3", content=encoded(COLOURS["blue"]), headers=headers
    )
    again = await client.put(
        "/v1/sales/alps/images/3", content=encoded(COLOURS["blue"]), headers=headers
    )
    both = (await client.get("/v1/sales/alps")).json()

    removed = await client.delete("/v1/sales/alps/images/1")
    left = (await client.get("/v1/sales/alps")).json()
    gone = [await client.delete(f"/v1/sales/alps/{name}") for name in ("images/1", "image")]

    assert third.json() == again.json()
    assert [one["number"] for one in both["pictures"]] == [1, 3]
    tops = [one["labels"][0] for one in both["pictures"]]
    assert [top["label"] for top in tops] == ["red", "blue"]
    shares = [{one["label"]: one["share"] for one in seen["labels"]} for seen in both["pictures"]]
    together = {one["label"]: one["share"] for one in both["picture"]["labels"]}
    means = {label: (shares[0][label] + shares[1][label]) / 2 for label in shares[0]}
    assert together == pytest.approx(means, abs=2e-4)
    assert removed.status_code == 204
    assert [one["number"] for one in left["pictures"]] == [3]
    assert left["picture"]["labels"] == third.json()["labels"]
    assert [(one.status_code, one.json()["code"]) for one in gone] == [(404, "unknown_picture")] * 2


async def test_a_file_under_two_numbers_is_named(client: httpx.AsyncClient) -> None:
    headers = {"content-type": "image/png"}
    red, blue = encoded(COLOURS["red"]), encoded(COLOURS["blue"])

    same_as = [
        (
            await client.put(f"/v1/sales/alps/images/{number}", content=content, headers=headers)
        ).json()["same_as"]
        for number, content in ((2, red), (4, blue), (2, red), (3, red), (1, red), (2, blue))
    ]

    assert same_as == [None, None, None, 2, 2, 4]


async def test_the_picture_of_no_number_is_removed_where_it_was_put(
    client: httpx.AsyncClient,
) -> None:
    await upload(client, encoded())

    removed = await client.delete("/v1/sales/alps/image")

    assert removed.status_code == 204
    assert (await client.get("/v1/sales/alps")).json()["pictures"] == []


@pytest.mark.parametrize("number", ["0", "10", "x"])
async def test_a_sale_has_nine_places_for_pictures(client: httpx.AsyncClient, number: str) -> None:
    headers = {"content-type": "image/png"}

    put = await client.put(f"/v1/sales/alps/images/{number}", content=encoded(), headers=headers)
    deleted = await client.delete(f"/v1/sales/alps/images/{number}")

    assert [(a.status_code, a.json()["code"]) for a in (put, deleted)] == [(422, "malformed")] * 2


async def test_own_pictures_are_no_neighbours(client: httpx.AsyncClient) -> None:
    headers = {"content-type": "image/png"}
    await upload(client, encoded())
    await client.put("/v1/sales/alps/images/2", content=encoded(), headers=headers)
    await upload(client, encoded(), sale_id="rome")
    await client.put("/v1/sales/last", json=BODY)
    await follow(client, "last")

    near = (await client.get("/v1/sales/alps/similar")).json()["items"]

    assert [item["sale_id"] for item in near] == ["rome"]


async def test_nothing_of_the_file_itself_is_kept(
    client: httpx.AsyncClient, stores: Stores
) -> None:
    """A picture that is a web page too, as a browser might read it, is only looked at."""
    page = b"<html><script>alert(1)</script>"
    answer = await upload(client, encoded(kind="JPEG") + page, media_type="image/jpeg")

    stored = await stores.connection.execute("HGETALL", "s:{sales}:pictures", doing="looking")
    assert answer.json()["labels"][0]["label"] == "blue"
    assert b"script" not in repr(stored).encode()


async def test_neighbours_are_the_nearest_pictures_closed_ones_included(
    client: httpx.AsyncClient,
) -> None:
    """Alps and Rome are the same blue, Bali nearly; Nice is red; Tignes has no picture."""
    shades = {"alps": (20, 40, 220), "rome": (20, 40, 220), "bali": (25, 60, 200)}
    for sale_id, colour in {**shades, "nice": COLOURS["red"]}.items():
        assert (await upload(client, encoded(colour), sale_id=sale_id)).status_code == 200
    await client.put("/v1/sales/rome", json={**BODY, "stock": 0})
    await client.put("/v1/sales/last", json=BODY)
    await follow(client, "last")

    async def near(**parameters: str) -> list[tuple[str, bool]]:
        answer = await client.get("/v1/sales/alps/similar", params=parameters)
        return [(item["sale_id"], item["open"]) for item in answer.json()["items"]]

    everything = await near()
    shown = (await client.get("/v1/sales/alps")).json()

    assert everything[:2] == [("rome", False), ("bali", True)]
    assert {sale_id for sale_id, _ in everything} <= {"rome", "bali", "nice"}
    assert await near(limit="1") == everything[:1]
    assert await near(open="true") == everything[1:]
    assert await near(open="false") == everything[:1]
    assert [item["sale_id"] for item in shown["neighbours"]] == [i for i, _ in everything]
    assert shown["neighbours"][0]["similarity"] == pytest.approx(1.0)
    assert (await client.get("/v1/sales/tignes/similar")).json() == {"items": []}


@pytest.mark.parametrize("parameters", [{"limit": 0}, {"limit": 101}, {"open": "x"}, {"opne": 1}])
async def test_a_malformed_question_for_neighbours_is_refused(
    client: httpx.AsyncClient, parameters: dict[str, str | int]
) -> None:
    answer = await client.get("/v1/sales/alps/similar", params=parameters)

    assert (answer.status_code, answer.json()["code"]) == (422, "malformed")


JPEG_TOP = encoded(kind="JPEG", size=(300, 300), quality=95)


@pytest.mark.parametrize(
    ("picture", "status", "code"),
    [
        (png_of(60_000, 60_000), 413, "picture_too_large"),
        (png_of(20_000, 10), 413, "picture_too_large"),
        (png_of(8_000, 8_000), 413, "picture_too_large"),
        (JPEG_TOP[: len(JPEG_TOP) // 2], 422, "picture_broken"),
        (encoded()[:60], 422, "picture_broken"),
        (b"", 415, "picture_format"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "picture_format"),
        (b"GIF89a" + b"\0" * 100, 415, "picture_format"),
        (b"%PDF-1.7 " + encoded(), 415, "picture_format"),
        (b"\xff\xd8\xff", 415, "picture_format"),
    ],
    ids=[
        *("bomb", "wide", "many-pixels", "half-jpeg", "head-of-png"),
        *("empty", "svg", "gif", "pdf-polyglot", "three-bytes"),
    ],
)
async def test_a_hostile_picture_is_refused_and_counted(
    client: httpx.AsyncClient, stores: Stores, picture: bytes, status: int, code: str
) -> None:
    answer = await upload(client, picture)

    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert (await stores.sales.changes(0)).pictures == ()
    metrics = (await client.get("/metrics")).text
    assert f'vitrine_pictures_total{{outcome="{code}"}} 1.0' in metrics


def rotated() -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    return encoded(kind="JPEG", exif=exif)


def animated() -> bytes:
    frames = [Image.new("RGB", (24, 20), COLOURS[name]) for name in ("blue", "red")]
    buffer = io.BytesIO()
    frames[0].save(buffer, "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "picture",
    [
        encoded(size=(1, 1)),
        encoded(kind="JPEG", mode="CMYK"),
        encoded(mode="P"),
        encoded(mode="RGBA"),
        encoded(kind="JPEG", size=(16_000, 20)),
        rotated(),
        animated(),
    ],
    ids=["1x1", "cmyk", "palette", "alpha", "long", "rotated", "animated"],
)
async def test_an_odd_picture_is_seen_right(client: httpx.AsyncClient, picture: bytes) -> None:
    """The content decides, not what the header says that it is."""
    answer = await upload(client, picture, media_type="image/webp")

    assert answer.status_code == 200, answer.text
    assert answer.json()["labels"][0]["label"] == "blue"


@pytest.mark.parametrize("media_type", ["text/html", "", "application/json", "image/svg+xml"])
async def test_what_is_not_said_to_be_a_picture_is_not_read(
    client: httpx.AsyncClient, media_type: str
) -> None:
    answer = await upload(client, encoded(), media_type=media_type)

    assert (answer.status_code, answer.json()["code"]) == (415, "picture_media_type")
    assert "image/jpeg, image/png, image/webp" in answer.json()["detail"]


class TestSmallLimits:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"max_body_bytes": 1_024, "max_picture_bytes": 2_048})

    @pytest.mark.parametrize(("n_bytes", "status"), [(2_048, 200), (2_049, 413)])
    @pytest.mark.parametrize("announced", [True, False])
    async def test_a_picture_has_a_limit_of_its_own(
        self, client: httpx.AsyncClient, *, n_bytes: int, status: int, announced: bool
    ) -> None:
        """What follows the picture in its file counts, and does not matter."""
        content = encoded().ljust(n_bytes, b"\0")

        async def chunks() -> AsyncGenerator[bytes]:
            yield content[:1_000]
            yield content[1_000:]

        answer = await upload(client, content if announced else chunks())

        assert answer.status_code == status, answer.text


class TestNoSceneModel:
    @pytest.fixture
    def model(self) -> Model:
        return Model(scorer=scorer())

    async def test_pictures_are_refused_and_sales_are_not(self, client: httpx.AsyncClient) -> None:
        refused = await upload(client, encoded())

        assert (refused.status_code, refused.json()["code"]) == (409, "scene_model_missing")
        assert (await client.put("/v1/sales/new", json=BODY)).status_code == 201
