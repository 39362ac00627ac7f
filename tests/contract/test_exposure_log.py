"""The contract of the exposure log, on the embedded server and on Redis."""

import base64
from dataclasses import replace
from typing import cast

import orjson
import pytest

from app.stores.connection import Connection
from app.stores.exposure import ExposureLog, PackedExposure, unpacked
from app.stores.keys import exposures_stream, partition
from tests.records import RECORD


async def logged(connection: Connection, customer_id: str) -> list[dict[str, object]]:
    stream = exposures_stream(partition(customer_id))
    reply = await connection.execute("XRANGE", stream, "-", "+", doing="reading a stream")
    entries = cast("list[tuple[bytes, dict[bytes, bytes]]]", reply)
    return [
        cast("dict[str, object]", orjson.loads(unpacked(fields[b"x"]))) for _, fields in entries
    ]


@pytest.mark.parametrize(
    "packed",
    ["eLsezQoEw25nkQGGrcmGSgTjKS1NqRYAg+cbvA==", "eLsUEQ56w25nkQGGrcmGSpiRhhZPaWlKtQCD5xu8"],
)
def test_a_record_stays_readable_when_the_dictionary_changes(packed: str) -> None:
    """Both were packed by the software of their time; nothing here packs them again."""
    assert orjson.loads(unpacked(base64.b64decode(packed))) == {
        "recommendation_id": "r0",
        "customer_id": "c1",
        "degraded": None,
        "feature_hash": "ff",
    }


class ExposureLogContract:
    """Mix in and provide ``url``, of a server that is emptied."""

    @pytest.fixture
    def log(self, connection: Connection) -> ExposureLog:
        return ExposureLog(connection)

    async def test_an_answer_is_kept_whole(self, log: ExposureLog, connection: Connection) -> None:
        await log.append([PackedExposure.from_record(RECORD)])

        [record] = await logged(connection, "c1")
        assert record["now_us"] == RECORD.now_us
        assert base64.b64decode(cast("str", record["window"])) == RECORD.window
        assert record["assignments"] == [
            {
                "experiment": "order",
                "variant": "meta",
                "unit": "customer",
                "unit_id": "c1",
                "share_bp": 9_000,
                "is_forced": False,
            }
        ]
        assert record["slate"] == [
            {
                "sale_id": "s1",
                "rank": 1,
                "propensity": 1.0,
                "purchase_probability": 0.0125,
                "rules": [],
            }
        ]

    async def test_answers_lie_in_the_partition_of_their_customer(
        self, log: ExposureLog, connection: Connection
    ) -> None:
        anonymous = replace(RECORD, recommendation_id="r2", customer_id=None)
        records = [RECORD, anonymous, replace(RECORD, recommendation_id="r3")]
        await log.append([PackedExposure.from_record(record) for record in records])

        assert [r["recommendation_id"] for r in await logged(connection, "c1")] == ["r1", "r3"]
        assert [r["recommendation_id"] for r in await logged(connection, "r2")] == ["r2"]


class TestEmbeddedExposureLog(ExposureLogContract):
    @pytest.fixture
    def url(self, embedded_url: str) -> str:
        return embedded_url


@pytest.mark.redis
class TestRedisExposureLog(ExposureLogContract):
    @pytest.fixture
    def url(self, redis_url: str) -> str:
        return redis_url
