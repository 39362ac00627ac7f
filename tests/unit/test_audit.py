"""A check that looked nothing up must not read like one that found nothing."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from deploy import audit
from deploy.audit import Report, findings, gap

Package = Mapping[str, object]

FOUND: Package = {
    "name": "left",
    "version": "1.0",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"]}],
}
FINE: Package = {"name": "right", "version": "2.0", "vulns": []}
SKIPPED: Package = {"name": "middle", "skip_reason": "not found"}


def report(*packages: Package) -> Report:
    return Report.model_validate({"dependencies": packages, "fixes": []})


def test_a_vulnerability_is_named_with_what_mends_it() -> None:
    assert findings(report(FINE, FOUND, SKIPPED)) == ["left 1.0: PYSEC-1, fixed in 1.1"]


def test_what_was_not_looked_up_is_said() -> None:
    assert gap(report(FINE, FOUND)) is None
    assert gap(report(FINE, SKIPPED)) == "not audited: 1 of 2 packages: middle"


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [
        (report(FINE), 0, "1 packages, no known vulnerability"),
        (report(FINE, FOUND), 1, "PYSEC-1"),
        (report(SKIPPED), 0, "not audited: 1 of 1"),
        ("the source is away", 0, "not audited: the source is away"),
    ],
)
def test_only_a_finding_fails(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answer: Report | str,
    status: int,
    said: str,
) -> None:
    def answered(lock: Path) -> Report | str:
        assert lock == Path("some.txt")
        return answer

    monkeypatch.setattr(audit, "run_audit", answered)

    assert audit.main(["some.txt"]) == status
    assert said in capsys.readouterr().out
