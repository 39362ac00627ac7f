"""Strangers: callers that leave, hold back, or send too much, at a real service."""

import re
import socket
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.end_to_end.service import START_TIMEOUT_S, Service, http, serving
from tests.shop import (
    NDJSON,
    sale,
)

SALE = sale("evil").model_dump_json(exclude_defaults=True)


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, tiny_bundle: tuple[Path, Path]
) -> Generator[Service]:
    folder = tmp_path_factory.mktemp("strangers")
    with serving(folder, "--bundle", str(tiny_bundle[0])) as service:
        service.wait_until("/health/ready", status=200)
        yield service


def connected(service: Service) -> socket.socket:
    _, _, port = service.url.rpartition(":")
    return socket.create_connection(("127.0.0.1", int(port)), timeout=30)


def counted(service: Service, metric: str) -> float:
    """The sum of all values of a metric with these labels."""
    text = http.get(f"{service.url}/metrics").text
    return sum(map(float, re.findall(rf"^{metric} (.+)$", text, re.MULTILINE)))


def test_a_web_page_in_a_browser_of_this_machine_changes_nothing(service: Service) -> None:
    before = http.get(f"{service.url}/v1/sales").json()
    for foreign in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
        headers = NDJSON | foreign
        answer = http.post(f"{service.url}/v1/sales", content=SALE, headers=headers)
        assert answer.status_code == 403

    assert http.get(f"{service.url}/v1/sales").json() == before


@pytest.mark.slow
def test_callers_that_leave_while_they_send_are_counted_and_make_no_noise(service: Service) -> None:
    n_callers = 3
    for _ in range(n_callers):
        with connected(service) as wire:
            head = b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n"
            head += b"Content-Type: application/json\r\nExpect: 100-continue\r\n\r\n"
            wire.sendall(head)
            assert wire.recv(1_000).startswith(b"HTTP/1.1 100 ")  # the body is awaited now
            wire.sendall(b'{"events":[')

    gone = 'vitrine_request_seconds_count{.*status="499".*}'
    deadline = time.monotonic() + START_TIMEOUT_S
    while counted(service, gone) < n_callers and time.monotonic() < deadline:
        time.sleep(0.05)
    assert counted(service, gone) == n_callers
    assert counted(service, 'vitrine_request_seconds_count{.*status="500".*}') == 0
    log = service.log.read_text()
    assert "Traceback" not in log
    assert "Exception in ASGI" not in log
