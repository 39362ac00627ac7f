"""``export-events`` from a terminal, over a real store."""

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.__main__ import commands
from app.stores.connection import Connection
from app.stores.keys import events_stream


async def execute(url: str, *command: str) -> None:
    connection = Connection.open(url)
    await connection.execute(*command, doing="breaking it")
    await connection.close()


def test_a_stream_that_cannot_be_read_is_named_and_ends_with_status_1(
    embedded_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VITRINE_REDIS_URL", embedded_url)
    asyncio.run(execute(embedded_url, "FLUSHALL"))
    asyncio.run(execute(embedded_url, "SET", events_stream(56), "another program's"))

    exported = CliRunner().invoke(
        commands, ["export-events", "--out", str(tmp_path / "out"), "--json"]
    )

    assert exported.exit_code == 1
    assert json.loads(exported.stdout)["damaged_streams"] == ["events:{56}"]
    assert "1 streams cannot be exported, such as events:{56}" in exported.stderr
    assert (tmp_path / "out" / "events.parquet").exists()
