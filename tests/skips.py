"""Rule on skips: only agreed ones pass, as a check that did not run has not passed."""

from collections.abc import Generator

import pytest

AGREED_MARKERS = ("browser", "charts", "clock", "gpu", "prometheus", "redis")
AGREED_REASON = "shared data absent"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--strict-skips``."""
    parser.addoption(
        "--strict-skips",
        action="store_true",
        help=f"fail on a skip that is neither marked {' or '.join(AGREED_MARKERS)}"
        f" nor for '{AGREED_REASON}'",
    )


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip of one test into a failure, unless it was agreed."""
    report = yield
    agreed = any(item.get_closest_marker(name) for name in AGREED_MARKERS)
    if item.config.getoption("strict_skips") and not agreed:
        _refuse(report)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn a skip of a whole module into an error, unless it was agreed."""
    report = yield
    if collector.config.getoption("strict_skips"):
        _refuse(report)
    return report


def _refuse(report: pytest.TestReport | pytest.CollectReport) -> None:
    reason = _reason(report)
    if reason is not None and not reason.startswith(AGREED_REASON):
        report.outcome = "failed"
        report.longrepr = f"skip that was not agreed: {reason}"


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str | None:
    # An expected failure is reported as skipped, too.
    if not report.skipped or hasattr(report, "wasxfail"):
        return None
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    return str(report.longrepr)
