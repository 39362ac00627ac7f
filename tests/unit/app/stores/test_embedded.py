"""The embedded server: one per state directory, whoever starts it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from app.stores.embedded import EmbeddedServerError, answers, embedded_server, socket_path
from app.stores.store import Stores
from tests.contract.servers import process_id, wait_until_ready
from tests.contract.visit import event
from tests.proofs import ROOT

OWN_AND_WAIT = """
import pathlib, sys
from app.stores.embedded import embedded_server
with embedded_server(pathlib.Path(sys.argv[1])):
    print("started", flush=True)
    sys.stdin.read()
"""


async def append_one(url: str) -> None:
    stores = Stores.open(url)
    now_us = await stores.server.time_us()
    await stores.customers.append([event("e1", at_us=now_us)])
    await stores.server.close()


async def n_events(url: str) -> int:
    stores = Stores.open(url)
    state = await stores.customers.read("c1")
    await stores.server.close()
    return len(state.window)


async def test_a_restart_keeps_what_was_acknowledged(tmp_path: Path) -> None:
    with embedded_server(tmp_path) as url:
        await append_one(url)
    with embedded_server(tmp_path) as url:
        assert await n_events(url) == 1


async def test_a_killed_server_loses_nothing_acknowledged(tmp_path: Path) -> None:
    with embedded_server(tmp_path) as url:
        await append_one(url)
        stores = Stores.open(url)
        os.kill(await process_id(stores.connection), signal.SIGKILL)
        await stores.server.close()
    with embedded_server(tmp_path) as url:
        assert await n_events(url) == 1


def test_the_owner_stops_it_and_guests_do_not(tmp_path: Path) -> None:
    with embedded_server(tmp_path) as url:
        with embedded_server(tmp_path) as again:
            assert again == url
        assert answers(socket_path(tmp_path.resolve() / "valkey"))

    assert not answers(socket_path(tmp_path.resolve() / "valkey"))


def test_what_a_killed_owner_left_is_adopted_and_stopped(tmp_path: Path) -> None:
    command = [sys.executable, "-c", OWN_AND_WAIT, str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"started\n"
        owner.kill()
    path = socket_path(tmp_path.resolve() / "valkey")
    assert answers(path)

    with embedded_server(tmp_path):
        wait_until_ready(path)

    assert not answers(path)


def test_a_path_too_long_for_a_socket_is_no_obstacle(tmp_path: Path) -> None:
    deep = tmp_path / ("long" * 30)

    with embedded_server(deep) as url:
        assert len(url) < 108

    assert (deep / "valkey").is_dir()


def test_a_server_that_cannot_start_names_its_log(tmp_path: Path) -> None:
    (tmp_path / "valkey" / "appendonlydir").mkdir(parents=True)
    broken = tmp_path / "valkey" / "appendonlydir" / "appendonly.aof.manifest"
    broken.write_text("not a manifest\n")

    with (
        pytest.raises(EmbeddedServerError, match=r"stopped at once: see .*valkey\.log"),
        embedded_server(tmp_path),
    ):
        pytest.fail("it started")


@pytest.mark.parametrize("inside", ["", "valkey/owner.lock", "valkey/valkey.log"])
def test_a_state_directory_that_cannot_be_written_is_named_with_its_setting(
    tmp_path: Path, inside: str
) -> None:
    """By a folder where a file has to be, or a file where the folder has to be."""
    state = tmp_path / "state"
    if inside:
        (state / inside).mkdir(parents=True)
    else:
        state.touch()

    with (
        pytest.raises(EmbeddedServerError, match="cannot keep its data in") as caught,
        embedded_server(state),
    ):
        pass

    assert str(state / "valkey") in str(caught.value)
    assert "VITRINE_STATE_DIR" in str(caught.value)
