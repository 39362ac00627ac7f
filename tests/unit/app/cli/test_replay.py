"""An answer that is not exported yet is found in the store."""

import pytest

from app.cli.replay import stored
from app.stores.connection import Connection
from app.stores.exposure import ExposureLog, PackedExposure
from app.stores.keys import exposures_stream
from tests.records import RECORD


@pytest.fixture
def url(embedded_url: str) -> str:
    return embedded_url


async def test_an_answer_is_found_beside_entries_of_another_program(connection: Connection) -> None:
    for fields in (("a", "b"), ("x", "garbage")):
        await connection.execute("XADD", exposures_stream(0), "*", *fields, doing="writing")
    await ExposureLog(connection).append([PackedExposure.from_record(RECORD)])

    found = await stored(connection, "r1")

    assert found["recommendation_id"].to_list() == ["r1"]
    assert (await stored(connection, "r2")).height == 0
