"""The embedded store in the past, for a try on old data."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.__main__ import commands
from app.stores.embedded import embedded_server, server_folder
from app.stores.past_clock import PastClockError, set_back
from app.stores.store import Stores
from models.domain.units import HOUR_US

PAST = datetime(2012, 12, 1, 8, tzinfo=UTC)


async def time_us(url: str) -> int:
    stores = Stores.open(url)
    try:
        return await stores.server.time_us()
    finally:
        await stores.server.close()


@pytest.mark.clock
async def test_the_store_starts_in_the_past_for_every_command(tmp_path: Path) -> None:
    set_back(server_folder(tmp_path), PAST)

    with embedded_server(tmp_path) as url:
        # An hour: a machine that runs tests is busy, and the clock runs on.
        assert 0 <= await time_us(url) - PAST.timestamp() * 1e6 < HOUR_US


@pytest.mark.clock
async def test_a_store_of_the_present_is_not_set_back(tmp_path: Path) -> None:
    with embedded_server(tmp_path):
        pass

    with pytest.raises(PastClockError, match="choose another VITRINE_STATE_DIR for the past"):
        set_back(server_folder(tmp_path), PAST)


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
