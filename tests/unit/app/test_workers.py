"""Addresses that cannot be listened on: the error names the setting and what to do."""

import gc
import socket
import sys
from multiprocessing import Pipe
from multiprocessing.connection import Connection

import pytest

from app.settings import Settings
from app.workers import ListenError, fork_server, listen


def settings(host: str, port: int = 0) -> Settings:
    return Settings(host=host, port=port, open_to_network=True)


def test_a_port_in_use_is_named_with_its_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = int(taken.getsockname()[1])

        with pytest.raises(ListenError, match=f"port {port} of 127.0.0.1 is in use") as caught:
            listen(settings("127.0.0.1", port))

    assert "VITRINE_PORT" in str(caught.value)


# 192.0.2.0/24 is for documentation (RFC 5737): no machine has an address of it.
@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid", "a..b", "::zz", "[::1]"])
def test_a_host_that_is_not_this_machine_is_named_with_its_setting(host: str) -> None:
    with pytest.raises(ListenError, match="is no address of this machine") as caught:
        listen(settings(host))

    assert repr(host) in str(caught.value)
    assert "VITRINE_HOST" in str(caught.value)


def send_what_is_shared(writer: Connection) -> None:
    writer.send(("app.preloaded" in sys.modules, gc.get_freeze_count()))


def test_a_worker_begins_with_all_modules_and_without_their_objects_in_its_collections() -> None:
    """What it imported or collected itself would be memory of its own."""
    reader, writer = Pipe(duplex=False)
    process = fork_server().Process(target=send_what_is_shared, args=(writer,))
    process.start()
    is_imported, n_frozen = reader.recv()
    process.join()

    assert is_imported
    # FastAPI, polars, and NumPy alone are far more.
    assert n_frozen > 100_000
