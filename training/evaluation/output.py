"""Output of an evaluation: JSON, and tables on a terminal."""

from collections.abc import Mapping
from dataclasses import asdict

from pydantic import JsonValue
from rich.console import Console
from rich.table import Table

from training.evaluation.comparison import Differences, Scorers
from training.evaluation.evaluate import Evaluation
from training.evaluation.reliability import Reliability
from training.statistics.bootstrap import Interval

WIDTH = 220


def as_json(evaluation: Evaluation) -> dict[str, JsonValue]:
    """Return all figures.

    ``figures``, ``segments``, ``differences``, ``lift_shares`` and ``coverage`` are by protocol,
    ``calibration`` is by kind of prediction.
    """
    protocols = evaluation.protocols
    return {
        "figures": {name: plain(one.scorers) for name, one in protocols.items()},
        "segments": {
            name: {segment: plain(scorers) for segment, scorers in one.segments.items()}
            for name, one in protocols.items()
        },
        "differences": {
            name: {reference: compared(found) for reference, found in one.differences.items()}
            for name, one in protocols.items()
        },
        "lift_shares": {name: plain(one.lift_shares) for name, one in protocols.items()},
        "coverage": {name: dict(one.coverage) for name, one in protocols.items()},
        "calibration": {name: _calibrated(one) for name, one in evaluation.reliability.items()},
    }


def print_tables(evaluation: Evaluation) -> None:
    """Print the figures of each protocol, how scorers differ from the meta-model, calibration."""
    for name, protocol in evaluation.protocols.items():
        print_table(name, protocol.scorers)
        for reference, found in protocol.differences.items():
            print_differences(f"{name}: difference to {reference}", found)
        if protocol.lift_shares:
            print_table(f"{name}: share of the knowable lift", protocol.lift_shares)
    reliability = {name: one.figures for name, one in evaluation.reliability.items()}
    if reliability:
        print_table("calibration", reliability)


def print_table(title: str, scorers: Mapping[str, Mapping[str, Interval]]) -> None:
    """Print intervals, a line a scorer and a column a metric."""
    cells = {
        scorer: {metric: written(interval) for metric, interval in figures.items()}
        for scorer, figures in scorers.items()
    }
    print_cells(title, cells)


def written(interval: Interval) -> str:
    """Write an interval with four digits."""
    return f"{interval.value:.4g} [{interval.low:.4g}, {interval.high:.4g}]"


def plain(scorers: Mapping[str, Mapping[str, Interval]]) -> JsonValue:
    """Return intervals by scorer and metric as JSON."""
    return {
        scorer: {metric: asdict(interval) for metric, interval in metrics.items()}
        for scorer, metrics in scorers.items()
    }


def columns_of(scorers: Scorers | Differences) -> list[str]:
    """Return the metrics of scorers, in the order of their first occurrence."""
    return list(dict.fromkeys(metric for metrics in scorers.values() for metric in metrics))


def print_differences(title: str, found: Differences) -> None:
    """Print paired differences as a table on stdout."""
    cells = {
        scorer: {
            metric: f"{written(one.interval)} {one.verdict}" for metric, one in metrics.items()
        }
        for scorer, metrics in found.items()
    }
    print_cells(title, cells)


def print_cells(title: str, cells: Mapping[str, Mapping[str, str]]) -> None:
    """Print cells, a line a scorer and a column a metric; empty ones as a dash."""
    metrics = list(dict.fromkeys(metric for row in cells.values() for metric in row))
    table = Table("", title=title)
    for metric in metrics:
        table.add_column(metric, justify="right")
    for scorer, row in cells.items():
        table.add_row(scorer, *(row.get(metric, "-") for metric in metrics))
    Console(width=WIDTH).print(table)


def compared(found: Differences) -> JsonValue:
    """Return paired differences by scorer and metric as JSON."""
    return {
        scorer: {
            metric: {**asdict(one.interval), "p": one.p, "verdict": one.verdict.value}
            for metric, one in metrics.items()
        }
        for scorer, metrics in found.items()
    }


def _calibrated(reliability: Reliability) -> JsonValue:
    figures: dict[str, JsonValue] = {
        name: asdict(interval) for name, interval in reliability.figures.items()
    }
    bins: list[JsonValue] = [asdict(one) for one in reliability.bins]
    return {**figures, "bins": bins}
