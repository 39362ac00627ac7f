"""Answers are made again bit for bit, after a restart and with another bundle in service."""

import json
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
import pytest

from tests.bundles import recalibrated
from tests.end_to_end.in_process import run_here
from tests.end_to_end.recorded_answers import ask, sale_ids
from tests.end_to_end.service import http, run, serving
from tests.proofs import Proof

N_ANSWERS: Final = 10_000
PHASES: Final = 3


@pytest.mark.prove
@pytest.mark.slow
def test_answers_are_replayed_bit_for_bit_after_a_restart_and_a_swap(
    tmp_path: Path, tiny_bundle: tuple[Path, Path], rng: np.random.Generator, proof: Proof
) -> None:
    root, state = tmp_path / "bundles", str(tmp_path / "state")
    first, second = (recalibrated(tiny_bundle[0], root, shift=shift) for shift in (0.0, 1.0))
    variables = {
        "VITRINE_BUNDLES": str(root),
        "VITRINE_BUNDLE": first.name,
        "VITRINE_EXPLORED_SHARE": "0.33",
    }
    kept = variables | {"VITRINE_STATE_DIR": state}
    loaded = run_here("app", "load", "--data", str(tiny_bundle[1]), **kept)
    assert loaded.exit_code == 0, loaded.output
    sales = sale_ids(tiny_bundle[1])
    n = max(proof.scale(N_ANSWERS) // PHASES, 1)
    with serving(tmp_path, **variables) as service:
        service.wait_until("/health/ready", status=200)
        ids = ask(service, sales, n=n, rng=rng)
        swapped = http.put(
            f"{service.url}/v1/bundles/active", json={"bundle": second.name}, timeout=60.0
        )
        assert swapped.status_code == 200, swapped.text
        ids += ask(service, sales, n=n, rng=rng)
        assert service.stop() == 0
    # No time for the model: the lower levels are recorded and replayed too.
    with serving(tmp_path, **variables, VITRINE_DEADLINE_MS="1") as service:
        service.wait_until("/health/ready", status=200)
        ids += ask(service, sales, n=n, rng=rng)
        assert service.stop() == 0

    alone = run_here("app", "replay", ids[0], "--json", **kept)
    assert alone.exit_code == 0, alone.output
    out = tmp_path / "export"
    drained = run_here("app", "export-events", "--out", str(out), **kept)
    assert drained.exit_code == 0, drained.output
    replayed = run("app", "replay", "--all", str(out), "--json", **kept)

    assert replayed.returncode == 0, replayed.stdout + replayed.stderr
    exposures = pl.read_parquet(out / "exposures.parquet")
    assert sorted(exposures["recommendation_id"]) == sorted(ids)
    assert set(exposures["bundle_id"]) == {first.name, second.name}
    assert json.loads(replayed.stdout) == {
        "equal": len(ids),
        "differing": {},
        "impossible": {},
        "other_versions": [],
    }
    # Of twelve sales drawn from all perhaps none is open.
    usual = {
        *((None, None), ("empty", "nothing_open"), ("anonymous", "customer_not_read")),
        *(("popularity", "shed"), ("popularity", "too_slow")),
    }
    assert set(exposures.select("degraded", "cause").iter_rows()) <= usual
    levels = exposures["degraded"].fill_null("full").value_counts()
    proof.record("replay", {"answers": len(ids), "levels": dict(levels.iter_rows())})

    planted = exposures.with_columns(pl.col("now") + pl.duration(days=1))
    (tmp_path / "planted").mkdir()
    planted.write_parquet(tmp_path / "planted" / "exposures.parquet")
    noticed = run_here("app", "replay", "--all", str(tmp_path / "planted"), "--json", **kept)
    assert noticed.exit_code == 1
    assert json.loads(noticed.stdout)["differing"]
