"""Offline rows from exported files equal the online rows of real answers, bit for bit."""

import json
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.end_to_end.in_process import run_here
from tests.end_to_end.service import Service, http, serving
from tests.proofs import Proof

N_CUSTOMERS = 1_000
N_EVENTS = 12


@dataclass(frozen=True)
class Served:
    """What a service left behind."""

    data: Path
    bundle: Path
    snapshots: Path
    n_answers: int


def events_of(customer: str, sales: list[str], rng: np.random.Generator) -> list[dict[str, str]]:
    """Events of the last two days, some at one moment, in no order."""
    now = datetime.now(UTC)
    ages_s = rng.choice([1, 60, 60, 3_600, 86_400, 172_000], size=N_EVENTS)
    return [
        {
            "event_id": f"{customer}-{number}",
            "customer_id": customer,
            "type": str(rng.choice(["impression", "view", "click", "cart", "purchase"])),
            "sale_id": str(rng.choice(sales)),
            "at": (now - timedelta(seconds=int(age_s))).isoformat(),
        }
        for number, age_s in enumerate(ages_s)
    ]


def visit(service: Service, customer: str, sales: list[str], rng: np.random.Generator) -> None:
    """Post events shuffled, in parts, repeated; ask in between and at the end."""
    events = events_of(customer, sales, rng)
    for part in (events[:5], events[3:8], events[:2] + events[8:]):
        posted = http.post(f"{service.url}/v1/events", json={"events": part})
        assert posted.status_code == 200, posted.text
        answer = http.get(f"{service.url}/v1/recommendations?customer_id={customer}&market=fr")
        assert answer.json()["degraded"] is None, answer.text
    asked = {"candidates": ["unknown", *sales[::-2]], "ordered": bool(rng.integers(2))}
    body = {**asked, "customer_id": customer, "market": "fr"}
    ranked = http.post(f"{service.url}/v1/rank", json=body)
    assert ranked.json()["degraded"] is None, ranked.text


def merge(service: Service, guest_id: str, customer_id: str) -> None:
    """Merge a new customer into one with a past, and ask under either id."""
    url = f"{service.url}/v1/customers/{customer_id}/merge"
    merged = http.post(url, json={"guest_id": guest_id})
    assert merged.status_code == 200, merged.text
    for one in (guest_id, customer_id):
        answer = http.get(f"{service.url}/v1/recommendations?customer_id={one}&market=fr")
        assert answer.json()["degraded"] is None, answer.text


@pytest.fixture(scope="module")
def served(
    tiny_bundle: tuple[Path, Path],
    tmp_path_factory: pytest.TempPathFactory,
    proof_share: float,
) -> Served:
    """Serve customers with and without a past, and export what happened."""
    bundle, world = tiny_bundle
    folder = tmp_path_factory.mktemp("parity")
    state = str(folder / "state")
    options = ("--data", str(world), "--bundle", str(bundle))
    loaded = run_here("app", "load", *options, VITRINE_STATE_DIR=state)
    assert loaded.exit_code == 0, loaded.output
    rng = np.random.default_rng(8)
    sales = pl.read_parquet(world / "sales.parquet")["sale_id"].to_list()
    n_customers = max(5, round(N_CUSTOMERS * proof_share))
    with serving(folder, "--bundle", str(bundle), VITRINE_EXPLORED_SHARE="0.02") as service:
        service.wait_until("/health/ready", status=200)
        for number in range(n_customers):
            visit(service, f"c{number:07d}" if number % 2 else f"new{number}", sales, rng)
            if number % 2:
                merge(service, f"new{number - 1}", f"c{number:07d}")
        assert service.stop() == 0
    exported = folder / "export"
    drained = run_here("app", "export-events", "--out", str(exported), VITRINE_STATE_DIR=state)
    assert drained.exit_code == 0, drained.output
    data = with_history(world, exported, folder / "data")
    n_answers = 4 * n_customers + 2 * (n_customers // 2)
    return Served(data, bundle, folder / "state" / "snapshots", n_answers)


def with_history(world: Path, exported: Path, data: Path) -> Path:
    """Put what was loaded and what was exported into one dataset."""
    data.mkdir()
    files = (world / "events.parquet", exported / "events.parquet")
    events = pl.concat([pl.read_parquet(file) for file in files], how="diagonal_relaxed")
    events.write_parquet(data / "events.parquet")
    copied = [world / f"{name}.parquet" for name in ("sales", "customers")]
    copied += [exported / f"{name}.parquet" for name in ("exposures", "merges")]
    for file in copied:
        (data / file.name).write_bytes(file.read_bytes())
    return data


def parity(served: Served, data: Path) -> dict[str, list[str] | int]:
    """Recompute the answers in this process, which has answered nothing."""
    arguments = ["--data", str(data), "--bundle", str(served.bundle)]
    done = run_here(
        "training", "parity", *arguments, "--snapshots", str(served.snapshots), "--json"
    )
    assert done.stdout, done.output
    return json.loads(done.stdout)


def changed(served: Served, folder: Path, **columns: pl.Expr) -> Path:
    """Copy the dataset with other columns in its exposures."""
    for file in served.data.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    exposures = pl.read_parquet(folder / "exposures.parquet").with_columns(**columns)
    exposures.write_parquet(folder / "exposures.parquet")
    return folder


@pytest.mark.prove
@pytest.mark.slow
def test_offline_rows_equal_online_rows_bit_for_bit(served: Served, proof: Proof) -> None:
    result = parity(served, served.data)

    assert result == {"equal": served.n_answers, "differing": [], "other_counts": []}
    proof.record("parity", {"answers": served.n_answers, "equal": served.n_answers})


@pytest.mark.slow
def test_a_now_off_by_a_millisecond_is_noticed(served: Served, tmp_path: Path) -> None:
    """Customers without any event are the same a millisecond later, all others are not."""
    data = changed(served, tmp_path, now=pl.col("now") + pl.duration(milliseconds=1))

    result = parity(served, data)

    assert len(result["differing"]) == served.n_answers  # pyright: ignore[reportArgumentType] - a list


@pytest.mark.slow
def test_data_without_the_loaded_history_comes_with_what_to_do(
    served: Served, tmp_path: Path
) -> None:
    data = changed(served, tmp_path)
    shutil.copy(served.data.parent / "export" / "events.parquet", data)
    arguments = ["--data", str(data), "--bundle", str(served.bundle)]

    done = run_here("training", "parity", *arguments, "--snapshots", str(served.snapshots))

    assert done.exit_code == 1
    assert f"0 answers equal, {served.n_answers} differing" in done.stdout
    assert "join the events of that dataset and of all exports" in done.output


@pytest.mark.slow
def test_a_forgotten_merge_is_noticed(served: Served, tmp_path: Path) -> None:
    data = changed(served, tmp_path)
    (data / "merges.parquet").unlink()

    result = parity(served, data)

    assert len(result["differing"]) >= 2  # pyright: ignore[reportArgumentType] - a list


@pytest.mark.slow
def test_a_forgotten_event_is_noticed(served: Served, tmp_path: Path) -> None:
    data = changed(served, tmp_path)
    events = pl.read_parquet(data / "events.parquet")
    kept = events.filter((pl.col("event_id") != "new0-0") | (pl.col("customer_id") != "new0"))
    kept.write_parquet(data / "events.parquet")

    result = parity(served, data)

    assert result["differing"] or result["other_counts"]
