"""`GET /v1/nights`: how the nightly runs ended whose records lie beside the bundles."""

from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from app.settings import Settings
from models.arrays.atomic_file import write_file
from models.scoring.bundle_storage import BundleStorage
from models.scoring.night_record import NIGHTS_FILE, NightRecord, NightVerdict, add_night

FAILED = NightRecord(
    started_at=datetime(2026, 11, 1, 2, tzinfo=UTC),
    ended_at=datetime(2026, 11, 1, 2, 30, tzinfo=UTC),
    verdict=NightVerdict.FAILED,
    reasons=["too many rows had to be left out"],
)


@pytest.fixture
def bundles(tmp_path: Path) -> Path:
    return tmp_path / "bundles"


@pytest.fixture
def settings(settings: Settings, bundles: Path) -> Settings:
    return settings.model_copy(update={"bundles": bundles})


async def test_nights_are_those_beside_the_bundles(
    client: httpx.AsyncClient, bundles: Path
) -> None:
    none = (await client.get("/v1/nights")).json()
    add_night(bundles, FAILED)
    (found,) = (await client.get("/v1/nights")).json()["items"]

    assert none == {"items": []}
    assert NightRecord.model_validate(found) == FAILED


async def test_records_that_cannot_be_read_are_said_to_be(
    client: httpx.AsyncClient, bundles: Path
) -> None:
    write_file(bundles / NIGHTS_FILE, b"[")
    answer = await client.get("/v1/nights")

    assert (answer.status_code, answer.json()["code"]) == (503, "nights_unread")
    assert str(bundles / NIGHTS_FILE) in answer.json()["detail"]


class TestStorage:
    """With `bundles_from`: pods have no folder in common with the machine that trains."""

    @pytest.fixture
    def settings(self, settings: Settings, tmp_path: Path) -> Settings:
        return settings.model_copy(update={"bundles_from": f"file://{tmp_path}/storage"})

    async def test_nights_are_those_of_the_storage(
        self, client: httpx.AsyncClient, bundles: Path, tmp_path: Path
    ) -> None:
        none = (await client.get("/v1/nights")).json()
        add_night(bundles, FAILED)
        storage = BundleStorage.open(f"file://{tmp_path}/storage")
        storage.publish_nights((bundles / NIGHTS_FILE).read_bytes())
        (found,) = (await client.get("/v1/nights")).json()["items"]

        assert none == {"items": []}
        assert NightRecord.model_validate(found) == FAILED
