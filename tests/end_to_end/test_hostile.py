"""Cost of hostile input to a real service: memory, and in full, on a quiet machine, time."""

import socket
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.end_to_end.service import Service, http, serving
from tests.proofs import FULL_SCALE, Proof
from tests.shop import JSON, NDJSON

MAX_GROWTH_MB: Final = 100
MAX_LIVE_S: Final = 0.1
N_TIMES: Final = 10
PROBE_S: Final = 0.02
TIMEOUT_S: Final = 60.0
BODY_BYTES: Final = 4_000_000
"""Just below the largest body of the settings."""

Attack = Callable[[Service, Proof], None]


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, tiny_bundle: tuple[Path, Path]
) -> Generator[Service]:
    folder = tmp_path_factory.mktemp("hostile")
    with serving(folder, "--bundle", str(tiny_bundle[0])) as service:
        service.wait_until("/health/ready", status=200)
        yield service


def family(pid: int) -> list[int]:
    """A process and all that it started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in children for one in family(int(child)))]


def memory_mb(pids: list[int], line: str) -> float:
    """Sum ``VmRSS`` (now) or ``VmHWM`` (at most) of processes."""
    texts = [Path(f"/proc/{pid}/status").read_text() for pid in pids]
    return sum(int(text.split(f"{line}:")[1].split()[0]) for text in texts) / 1024


def forget_peaks(pids: list[int]) -> None:
    for pid in pids:
        Path(f"/proc/{pid}/clear_refs").write_text("5")


@dataclass
class Probe:
    """The longest answer of ``/health/live`` so far."""

    longest_s: float = 0.0
    n_answers: int = 0
    ended: threading.Event = field(default_factory=threading.Event)

    def run(self, url: str) -> None:
        """Ask again and again until it is ended."""
        with httpx.Client(base_url=url, timeout=TIMEOUT_S) as client:
            while self.n_answers == 0 or not self.ended.wait(PROBE_S):
                begun = time.monotonic()
                assert client.get("/health/live").status_code == 200
                self.longest_s = max(self.longest_s, time.monotonic() - begun)
                self.n_answers += 1


@contextmanager
def probing(url: str) -> Generator[Probe]:
    probe = Probe()
    thread = threading.Thread(target=probe.run, args=(url,))
    thread.start()
    try:
        yield probe
    finally:
        probe.ended.set()
        thread.join()


def connected(service: Service) -> socket.socket:
    port = int(service.url.rpartition(":")[2])
    return socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)


def post(service: Service, path: str, body: bytes, *, headers: Mapping[str, str] = JSON) -> None:
    """Send a body; the service may refuse it and close before its end."""
    with suppress(httpx.TransportError):
        answer = http.post(f"{service.url}{path}", content=body, headers=headers, timeout=TIMEOUT_S)
        assert answer.status_code < 500


def endless_headers(service: Service, proof: Proof) -> None:
    with connected(service) as wire, suppress(OSError):
        wire.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n")
        for number in range(proof.scale(1_000_000)):
            wire.sendall(b"X-Kind-%d: %s\r\n" % (number, b"a" * 64))


def half_requests(service: Service, proof: Proof) -> None:
    wires: list[socket.socket] = []
    with suppress(OSError):
        for _ in range(proof.scale(1_000)):
            wires.append(connected(service))
            wires[-1].sendall(b"GET /v1/recommendations HTTP/1.1\r\nHost: localhost\r\nX-Half: ")
    time.sleep(0.5)
    for wire in wires:
        wire.close()


def unknown_fields(service: Service, proof: Proof) -> None:
    fields = b",".join(b'"%x":0' % number for number in range(proof.scale(420_000)))
    post(service, "/v1/events", b"{%s}" % fields[:BODY_BYTES])


def wrong_items(service: Service, proof: Proof) -> None:
    post(service, "/v1/events", b'{"events":[%s0]}' % (b"0," * (proof.scale(1_999_000))))


def brackets(service: Service, proof: Proof) -> None:
    post(service, "/v1/events", b"[" * proof.scale(BODY_BYTES))


def digits(service: Service, proof: Proof) -> None:
    post(service, "/v1/events", b'{"events":%s}' % (b"9" * proof.scale(BODY_BYTES)))


def large_sales(service: Service, proof: Proof) -> None:
    """Ten lines of a bulk, each of 400 KB that is no sale."""
    line = b'{"sale_id":"x","tags":[%s0]}' % (b"0," * proof.scale(200_000))
    post(service, "/v1/sales", b"\n".join([line] * 10)[:BODY_BYTES], headers=NDJSON)


def long_attributes(service: Service, proof: Proof) -> None:
    """Ten lines of sales that are well-formed up to their length."""
    words = b'"%s"' % (b"a" * proof.scale(390_000))
    line = b'{"sale_id":"x","opens_at":"2026-01-01T00:00:00Z","name":%s}' % words
    post(service, "/v1/sales", b"\n".join([line] * 10), headers=NDJSON)


def slow_bodies(service: Service, proof: Proof) -> None:
    wires = [connected(service) for _ in range(max(2, proof.scale(200)))]
    head = b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n"
    head += b"Content-Type: application/json\r\n\r\n"
    with suppress(OSError):
        for part in (head, *([b"x" * 1_000] * 10)):
            for wire in wires:
                wire.sendall(part)
            time.sleep(0.1)
    for wire in wires:
        wire.close()


def upgrades(service: Service, proof: Proof) -> None:
    headers = {
        **JSON,
        "Connection": "Upgrade",
        "Upgrade": "h2c",
        "HTTP2-Settings": "AAMAAABkAAQCAAAAAAIAAAAA",
    }
    body = b"x" * proof.scale(BODY_BYTES)
    for _ in range(3):
        with suppress(httpx.TransportError):
            _ = http.post(
                f"{service.url}/v1/events", content=body, headers=headers, timeout=TIMEOUT_S
            )


def pipelined(service: Service, proof: Proof) -> None:
    with connected(service) as wire, suppress(OSError):
        wire.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n" * proof.scale(100_000))
        while wire.recv(65_536):
            pass


@pytest.mark.prove
@pytest.mark.slow
@pytest.mark.parametrize(
    "attack",
    [
        endless_headers,
        half_requests,
        unknown_fields,
        wrong_items,
        brackets,
        digits,
        large_sales,
        long_attributes,
        slow_bodies,
        upgrades,
        pipelined,
    ],
)
def test_hostile_input_takes_little_memory_and_the_worker_lives(
    service: Service, proof: Proof, attack: Attack
) -> None:
    pids = family(service.process.pid)
    forget_peaks(pids)
    before = memory_mb(pids, "VmRSS")

    with probing(service.url) as probe:
        for _ in range(proof.scale(N_TIMES)):
            attack(service, proof)

    peak, after = memory_mb(pids, "VmHWM"), memory_mb(pids, "VmRSS")
    proof.record(
        f"hostile_{attack.__name__}",
        {
            "rss_before_mb": round(before),
            "rss_peak_mb": round(peak),
            "rss_after_mb": round(after),
            "longest_live_ms": round(probe.longest_s * 1_000),
            "live_answers": probe.n_answers,
        },
    )
    assert probe.n_answers > 0
    assert peak - before < MAX_GROWTH_MB
    assert proof.share < FULL_SCALE or probe.longest_s < MAX_LIVE_S
