"""Conformance: the service keeps to its own schema for any request, over real HTTP."""

import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from app.security.key import KeyFile, Scope, entry_of, new_key
from app.security.key_ring import write_keys
from app.stores.embedded import embedded_server
from tests.end_to_end.made import made_workers
from tests.end_to_end.service import http
from tests.proofs import ROOT, Proof

N_EXAMPLES: Final = 600
"""Examples of each operation in full; with those of the other phases, above 20,000 requests."""

N_REQUESTS: Final = 20_000

# A malformed event is rejected in its result, beside those that are taken.
# That a sale closes after it opens is a relation of two fields, and that a version is the present
# one of the plan is known to the plan only, and that a text is an expression or a cursor to their
# readers: no schema can state these.
CONFIGURATION: Final = """
[[operations]]
include-name = "PUT /v1/sales/{sale_id}"

[operations.checks.positive_data_acceptance]
expected-statuses = ["2xx", "404", "409", "422"]

[[operations]]
include-path-regex = "^/v1/(experiments|plan)"

[operations.checks.positive_data_acceptance]
expected-statuses = ["2xx", "404", "409", "412", "422"]

[[operations]]
include-path-regex = "^/v1/(recommendations|pages)"

[operations.checks.positive_data_acceptance]
expected-statuses = ["2xx", "404", "409", "422"]

[[operations]]
include-name = "PUT /v1/rules"

[operations.checks.positive_data_acceptance]
expected-statuses = ["2xx", "409", "412", "422"]

[[operations]]
include-name = "POST /v1/events"

[operations.checks.negative_data_rejection]
expected-statuses = ["2xx", "4xx"]

[[operations]]
include-name = "POST /v1/promotions"

[operations.checks.positive_data_acceptance]
expected-statuses = ["2xx", "404", "409", "422"]
"""


def attack(url: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run schemathesis with every check."""
    (folder / "schemathesis.toml").write_text(CONFIGURATION)
    command = ["run", f"{url}/openapi.json", "--checks", "all", "--seed", "1", "--no-color"]
    return subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", *command, "--continue-on-failure", *options],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "SCHEMATHESIS_HOOKS": "tests.end_to_end.ndjson",
        },
        check=False,
        capture_output=True,
        text=True,
    )


def full_key(path: Path) -> str:
    """Make a key that opens everything, as fast as it can be asked."""
    key_id, key = new_key()
    made = datetime(2026, 11, 24, tzinfo=UTC)
    entry = entry_of(key, key_id, scopes=Scope, created_at=made, per_second=1_000_000)
    write_keys(path, KeyFile(keys=(entry,)))
    return key


def n_answers(url: str, key: str) -> tuple[int, int]:
    """All answers of the service so far, and those that are its own fault."""
    counted = re.findall(
        r'request_seconds_count\{.*status="(\d+)".*\} ([\d.]+)',
        http.get(f"{url}/metrics", headers={"X-API-Key": key}).text,
    )
    counts = [(int(status), int(float(n))) for status, n in counted]
    return sum(n for _, n in counts), sum(n for status, n in counts if status >= 500)


@pytest.mark.prove
@pytest.mark.slow
def test_no_request_breaks_the_schema_or_the_service(tmp_path: Path, proof: Proof) -> None:
    phases = ["examples", "fuzzing"] if proof.share < 1 else ["examples", "coverage", "fuzzing"]
    key = full_key(tmp_path / "keys.json")
    options = [
        "--header",
        f"X-API-Key: {key}",
        "--max-examples",
        str(proof.scale(N_EXAMPLES)),
        "--phases",
    ]
    with (
        embedded_server(tmp_path / "store") as store_url,
        made_workers(tmp_path, store_url, keys=tmp_path / "keys.json") as url,
    ):
        run = attack(url, tmp_path, *options, ",".join([*phases, "stateful"]))
        requests, failures = n_answers(url, key)
        log = (tmp_path / "worker-0.log").read_text()

    assert run.returncode == 0, run.stdout + run.stderr
    assert failures == 0, log
    assert '"level": "error"' not in log, log
    assert requests >= proof.scale(N_REQUESTS)
    proof.record("schema", {"requests": requests, "server_errors": failures, "breaches": 0})
