import json
import logging
import subprocess
import sys

import pytest
from structlog.testing import capture_logs

from app.observability import (
    LATENCY_BUCKETS_S,
    Metrics,
    configure_logging,
    get_logger,
)
from tests.proofs import ROOT


def test_answers_below_a_millisecond_are_told_apart() -> None:
    assert len([one for one in LATENCY_BUCKETS_S if one < 0.001]) >= 2


def test_every_metric_stands_in_the_table_with_its_labels() -> None:
    rows = (ROOT / "docs/metrics.md").read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    documented = {
        cell[0].strip("`"): cell[2].replace("`", "")
        for cell in cells
        if cell[0].startswith("`vitrine_")
    }

    metrics = Metrics()
    names = ("shadow", "drift", "exploration", "rules", "admission", "health", "store", "build")
    registered = [
        metric
        for group in (metrics, *(getattr(metrics, name) for name in names))
        for name, metric in vars(group).items()
        if name not in {"registry", *names}
    ]

    assert documented == {m._name: ", ".join(m._labelnames) for m in registered}


def test_a_log_line_is_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info")

    get_logger("app.test").warning("line one\nline two", store="away")

    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["level"], line["store"]) == (
        "line one\nline two",
        "warning",
        "away",
    )


def test_a_line_of_uvicorn_has_no_colours(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info")

    coloured = {"color_message": "Started [\x1b[36m%d\x1b[0m]"}
    logging.getLogger("uvicorn.error").info("Started [%d]", 7, extra=coloured)

    line = json.loads(capsys.readouterr().err)
    assert (line["event"], "color_message" in line) == ("Started [7]", False)


def test_loggers_follow_a_second_configuration() -> None:
    configure_logging("info")
    logger = get_logger("app.test")
    logger.warning("first used")

    configure_logging("error")
    with capture_logs() as lines:
        logger.warning("captured")

    assert [line["event"] for line in lines] == ["captured"]


def test_a_warning_of_python_is_a_line_of_the_log() -> None:
    program = (
        "import warnings; from app.observability import configure_logging;"
        "configure_logging('info'); warnings.warn('overflow', RuntimeWarning)"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True
    )

    line = json.loads(done.stderr)
    assert (line["level"], line["logger"]) == ("warning", "py.warnings")
    assert "RuntimeWarning: overflow" in line["event"]
