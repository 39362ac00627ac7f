"""Known vulnerabilities of locked packages; packages that could not be checked are no failure.

``python -m deploy.audit LOCK…`` asks pip-audit about every package of the locks. It ends with 1
if one is known to be vulnerable. Without the advisory source it says 'not audited' and ends with
0: a build must not fail because a server is down, nor look as if the audit had passed.
"""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ValidationError

TIMEOUT_S: Final = 120.0
"""For one lock; chosen, not measured."""
MAX_NAMED: Final = 5


class Vulnerability(BaseModel):
    """One advisory that fits a locked version."""

    id: str
    fix_versions: list[str] = []


class Audited(BaseModel):
    """Report of pip-audit for one package."""

    name: str
    version: str = ""
    vulns: list[Vulnerability] = []
    skip_reason: str | None = None


class Report(BaseModel):
    """Report of pip-audit."""

    dependencies: list[Audited]


def findings(report: Report) -> list[str]:
    """Return a line for every known vulnerability."""
    return [
        f"{one.name} {one.version}: {vulnerability.id}, fixed in"
        f" {', '.join(vulnerability.fix_versions) or 'no version yet'}"
        for one in report.dependencies
        for vulnerability in one.vulns
    ]


def gap(report: Report) -> str | None:
    """Return a line with the packages that were not checked; None if all were."""
    skipped = [one.name for one in report.dependencies if one.skip_reason is not None]
    if not skipped:
        return None
    more = ", …" if len(skipped) > MAX_NAMED else ""
    named = ", ".join(skipped[:MAX_NAMED]) + more
    return f"not audited: {len(skipped)} of {len(report.dependencies)} packages: {named}"


def run_audit(lock: Path) -> Report | str:
    """Return the report of pip-audit for a lock, or the reason why there is none."""
    options = ["--disable-pip", "--require-hashes", "--format", "json", "--progress-spinner", "off"]
    command = [sys.executable, "-m", "pip_audit", *options, "--timeout", "5", "-r", str(lock)]
    with tempfile.TemporaryDirectory() as cache:
        try:
            run = subprocess.run(
                [*command, "--cache-dir", cache],
                capture_output=True,
                text=True,
                check=False,
                timeout=TIMEOUT_S,
            )
        except subprocess.TimeoutExpired:
            return f"no answer within {TIMEOUT_S:g} seconds"
    try:
        return Report.model_validate_json(run.stdout)
    except ValidationError:
        return (run.stderr.strip().splitlines() or ["no answer"])[-1]


def main(locks: Sequence[str]) -> int:
    """Audit locks; return the exit status."""
    n_findings = 0
    for lock in map(Path, locks):
        report = run_audit(lock)
        if isinstance(report, str):
            print(f"{lock.name}: not audited: {report}")
            continue
        found = findings(report)
        n_findings += len(found)
        missing = gap(report)
        for line in [*found, *([missing] if missing else [])]:
            print(f"{lock.name}: {line}")
        if not found and missing is None:
            print(f"{lock.name}: {len(report.dependencies)} packages, no known vulnerability")
    return 1 if n_findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
