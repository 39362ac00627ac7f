"""Memory that records of answers take in the store; docs/store.md has the figures."""

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from app.stores.connection import Connection
from app.stores.exposure import ExposureLog, PackedExposure
from app.stores.keys import N_PARTITIONS, exposures_stream
from models.experiments.exposure_record import ExposureRecord, ShownItem
from tests.contract.servers import redis_binary, redis_server
from tests.proofs import ROOT
from tests.records import RECORD

ENTRY_BYTES = 64
"""See ``stream.lua``."""
N_ANSWERS = 2_000
N_SIZED = 300
WINDOW_BYTES = 128 * 24
SHOWN_BYTES = 128 * 12


async def used_bytes(connection: Connection) -> int:
    reply = await connection.execute("INFO", "memory", doing="looking")
    return int(cast("Mapping[str, int]", reply)["used_memory"])


@pytest.mark.redis
@pytest.mark.parametrize("n_bytes", [0, WINDOW_BYTES])
async def test_an_answer_takes_about_as_much_memory_as_it_is_counted_with(
    tmp_path: Path, n_bytes: int
) -> None:
    """Within a third: allocators round up, and nodes of streams are not full."""
    binary = redis_binary()
    if binary is None:
        pytest.skip("redis-server is not installed")
    # A window of random bytes is larger than any real one.
    packed = [
        PackedExposure.from_record(
            replace(RECORD, recommendation_id=os.urandom(16).hex(), window=os.urandom(n_bytes))
        )
        for _ in range(N_ANSWERS)
    ]
    with redis_server(binary, tmp_path) as url:
        connection = Connection.open(url, timeout_s=30.0)
        log = ExposureLog(connection)
        await log.append(packed[:1])
        before = await used_bytes(connection)
        await log.append(packed[1:])
        used = await used_bytes(connection) - before
        await connection.close()

    counted = sum(len(one.content) + ENTRY_BYTES for one in packed[1:])
    assert counted * 2 / 3 < used < counted * 4 / 3, (used / N_ANSWERS, counted / N_ANSWERS)


def table() -> dict[str, int]:
    """Bytes of an answer by what it is, as the table of docs/store.md states."""
    text = (ROOT / "docs" / "store.md").read_text()
    rows = re.findall(r"^\| answer: (.+?) \| at most ([\d,]+)", text, re.MULTILINE)
    return {name: int(n.replace(",", "")) for name, n in rows}


def answers(n: int, rng: np.random.Generator) -> dict[str, list[ExposureRecord]]:
    """Records of each kind of answer: of ten sales, by a bundle and a snapshot."""
    sales = [f"sale-{number}" for number in range(1_000)]
    found: dict[str, list[ExposureRecord]] = {}
    for _ in range(n):
        slate = tuple(
            ShownItem(str(sale_id), rank, 1.0, float(rng.random()) / 20)
            for rank, sale_id in enumerate(rng.choice(sales, 10, replace=False), start=1)
        )
        ordinary = replace(
            RECORD,
            recommendation_id=rng.bytes(16).hex(),
            customer_id=f"customer-{rng.integers(10**6)}",
            slate=slate,
            window=b"",
            exclude=(),
            excluded_unknown=0,
            candidates=None,
            candidates_unknown=0,
            snapshot_id=f"{rng.bytes(16).hex()}.{rng.bytes(16).hex()}",
            feature_hash=rng.bytes(16).hex(),
        )
        # Random bytes are larger than any real window: 128 events, and 128 sales shown.
        full = replace(ordinary, window=rng.bytes(WINDOW_BYTES + SHOWN_BYTES))
        excluded = tuple(map(str, rng.choice(sales, 480, replace=False)))
        kinds = {
            "ordinary": ordinary,
            "full window": full,
            "480 sales excluded": replace(ordinary, exclude=excluded),
            "1,000 unknown candidates": replace(ordinary, candidates=(), candidates_unknown=1_000),
        }
        for name, record in kinds.items():
            found.setdefault(name, []).append(record)
    return found


async def test_answers_take_no_more_than_the_documentation_says(
    embedded_url: str, rng: np.random.Generator
) -> None:
    """Of 300 each, in the store's own memory; and no less than half of it, or the table is old."""
    connection = Connection.open(embedded_url, timeout_s=30.0)
    log, bounds = ExposureLog(connection), table()
    taken: dict[str, float] = {}
    for name, records in answers(N_SIZED, rng).items():
        _ = await connection.execute("FLUSHALL", doing="emptying the store")
        await log.append([PackedExposure.from_record(record) for record in records])
        sizes = [await memory(connection, exposures_stream(p)) for p in range(N_PARTITIONS)]
        taken[name] = sum(sizes) / N_SIZED
    await connection.close()

    assert taken.keys() == bounds.keys()
    for name, n_bytes in taken.items():
        assert bounds[name] / 2 < n_bytes <= bounds[name], taken


async def memory(connection: Connection, name: str) -> int:
    """What a key takes, 0 where there is none."""
    reply = await connection.execute("MEMORY", "USAGE", name, "SAMPLES", 0, doing="looking")
    return int(cast("int | None", reply) or 0)
