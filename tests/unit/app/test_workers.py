"""Addresses that cannot be listened on: the error names the setting and what to do."""

import socket

import pytest

from app.settings import Settings
from app.workers import ListenError, listen


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
