"""The embedded store in the past, for a try on old data."""

import asyncio
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.__main__ import commands
from app.stores.embedded import embedded_server, server_folder
from app.stores.past_clock import PastClockError
from app.stores.store import Stores
from models.domain.units import HOUR_US
from tests.proofs import ROOT

PAST = datetime(2012, 12, 1, 8, tzinfo=UTC)
OWN_AND_WAIT = """
import datetime, pathlib, sys
from app.stores.embedded import embedded_server
moment = datetime.datetime.fromisoformat(sys.argv[2])
with embedded_server(pathlib.Path(sys.argv[1]), as_of=moment):
    print("started", flush=True)
    sys.stdin.read()
"""


async def time_us(url: str) -> int:
    stores = Stores.open(url)
    try:
        return await stores.server.time_us()
    finally:
        await stores.server.close()


@pytest.mark.clock
async def test_the_store_starts_in_the_past_for_every_command(tmp_path: Path) -> None:
    with embedded_server(tmp_path, as_of=PAST):
        pass

    with embedded_server(tmp_path) as url:
        # An hour: a machine that runs tests is busy, and the clock runs on.
        assert 0 <= await time_us(url) - PAST.timestamp() * 1e6 < HOUR_US


@pytest.mark.clock
async def test_a_store_of_the_present_is_not_set_back(tmp_path: Path) -> None:
    with embedded_server(tmp_path):
        pass

    with (
        pytest.raises(PastClockError, match="choose another VITRINE_STATE_DIR for the past"),
        embedded_server(tmp_path, as_of=PAST),
    ):
        pytest.fail("it started")


@pytest.mark.parametrize(
    "options",
    [
        ("--redis-url", "redis://127.0.0.1:1/0"),
        ("--host", "shop.example"),
    ],
)
def test_the_past_is_refused_beyond_this_machine(
    options: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VITRINE_OPEN_TO_NETWORK", "true")
    result = CliRunner().invoke(commands, ["serve", "--as-of", "2012-12-01", *options])

    assert result.exit_code == 1
    assert "it needs the embedded store, and a host on loopback" in result.stderr


@pytest.mark.clock
def test_a_folder_of_the_past_is_not_served_in_the_present_without_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a try on the default state directory, the service goes live there."""
    with embedded_server(tmp_path, as_of=PAST):
        pass
    monkeypatch.setenv("VITRINE_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("VITRINE_OPEN_TO_NETWORK", "true")

    result = CliRunner().invoke(commands, ["serve", "--host", "shop.example"])

    assert result.exit_code == 1
    assert "lives in the past, from 2012-12-01T08:00:00" in result.stderr
    assert "choose another VITRINE_STATE_DIR" in result.stderr


@pytest.mark.clock
def test_a_running_store_is_not_given_another_past(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VITRINE_STATE_DIR", str(tmp_path))

    with embedded_server(tmp_path, as_of=PAST):
        result = CliRunner().invoke(commands, ["serve", "--as-of", "2013-05-01", "--port", "0"])

    assert result.exit_code == 1
    assert "is in use: end what uses it" in result.stderr
    assert (server_folder(tmp_path) / "clock").read_text() == "@2012-12-01 08:00:00\n"


@pytest.mark.clock
def test_what_a_killed_owner_left_is_started_anew_in_the_past_that_is_asked_for(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-c", OWN_AND_WAIT, str(tmp_path), PAST.isoformat()]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"started\n"
        owner.kill()
    later = PAST + timedelta(days=100)

    with embedded_server(tmp_path, as_of=later) as url:
        assert 0 <= asyncio.run(time_us(url)) - later.timestamp() * 1e6 < HOUR_US
