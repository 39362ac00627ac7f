"""How long a picture takes to be labelled over HTTP, and a sale to be recommended by both workers.

Method: a small simulated shop, two workers and the embedded store, real HTTP on loopback.
Labelling is a PUT of a JPEG, one at a time. Visible is the first of 12 answers in a row, each
over a new connection, that all hold the new sale, timed from the acknowledgement of its picture.

Last numbers (2 shared cores, busy; 10 kB): labelling p50 38 ms, p95 156 ms; recommended by both
workers after p50 278 ms, p95 379 ms, in a catalogue of some hundred sales.
"""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np

from tests.end_to_end.service import serving
from tests.end_to_end.test_registration import seen_by

N_PICTURES = 100
N_SALES = 20


def percentiles_ms(times: list[float]) -> str:
    """Format a sample of seconds."""
    return " ".join(f"p{q}={np.percentile(times, q) * 1e3:.1f}" for q in (50, 95)) + " ms"


def visible_after_s(url: str, sale_id: str) -> float:
    """Wait until every worker recommends a sale, and return how long it took."""
    started, in_a_row = time.perf_counter(), 0
    first = started
    while in_a_row < 12:
        if sale_id in seen_by(url):
            first = first if in_a_row else time.perf_counter()
            in_a_row += 1
        else:
            in_a_row = 0
    return first - started


def test_registration(tmp_path: Path, tiny_bundle: tuple[Path, Path]) -> None:
    """Print the percentiles."""
    bundle, data = tiny_bundle
    picture = next((data / "images").rglob("*.jpg")).read_bytes()
    body = {"opens_at": (datetime.now(UTC) - timedelta(hours=1)).isoformat()}
    headers = {"content-type": "image/jpeg"}
    labelling: list[float] = []
    visible: list[float] = []
    with serving(tmp_path, "--bundle", str(bundle), "--workers", "2") as service:
        service.wait_until("/health/ready", status=200)
        with httpx.Client(base_url=f"{service.url}/v1/sales", timeout=30) as client:
            for number in range(N_PICTURES):
                client.put(f"/new-{number}", json=body).raise_for_status()
                started = time.perf_counter()
                put = client.put(f"/new-{number}/image", content=picture, headers=headers)
                labelling.append(time.perf_counter() - started)
                put.raise_for_status()
                if number < N_SALES:
                    visible.append(visible_after_s(service.url, f"new-{number}"))
    print(f"\nlabelling, {len(picture)} bytes: {percentiles_ms(labelling)}")
    print(f"recommended by both workers after: {percentiles_ms(visible)}")
