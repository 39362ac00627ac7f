"""Evaluation report: an evaluation as the blocks of an HTML page."""

from collections.abc import Iterator, Mapping
from typing import Final

from training.evaluation.comparison import Differences
from training.evaluation.evaluate import Evaluation, ProtocolFigures
from training.evaluation.example_slates import Thumbnail, gallery, talk_lines
from training.evaluation.measure import MRR, PURCHASES
from training.evaluation.output import columns_of
from training.evaluation.protocol import Protocol
from training.evaluation.reliability import Reliability
from training.report.block import (
    Bar,
    BarPlot,
    Block,
    Heading,
    Line,
    LinePlot,
    Paragraph,
    Table,
)
from training.statistics.bootstrap import Interval

_MULTIPLICITY: Final = (
    "Differences are paired slate by slate. 'better' and 'worse' stand only where the 95% "
    "interval excludes 0 and the p-value, adjusted by Holm's method over all scorers of the "
    "column, is below 5%; everything else is open."
)
_WANTED: Final = (
    "Wanted: slope between 0.95 and 1.05, calibration error at most 10% of the base rate. "
    "Intervals are over customers; a calibration error is never below 0, so noise raises it."
)
_RANKED: Final[Mapping[str, str]] = {
    Protocol.SHOWN: "Ranked: the last list of every session that something was bought from.",
    Protocol.OPEN: "Ranked: all sales that were open at a visit, by what the customer then bought.",
}


def document(evaluation: Evaluation, *, thumbnail: Thumbnail) -> list[Block]:
    """Return the blocks of a report.

    Args:
        evaluation: The evaluation.
        thumbnail: Returns the pictures of sales.
    """
    blocks: list[Block] = []
    for name, protocol in evaluation.protocols.items():
        blocks += _protocol(name, protocol)
        if name == Protocol.OPEN:
            blocks.append(Heading("Side by side"))
            blocks += gallery(protocol.examples, evaluation.catalogue, thumbnail=thumbnail)
    if evaluation.reliability:
        blocks += [Heading("Calibration"), Paragraph(_WANTED)]
        figures = {name: one.figures for name, one in evaluation.reliability.items()}
        blocks.append(interval_table("Probabilities of the meta-model", figures))
        blocks += [_reliability_plot(name, one) for name, one in evaluation.reliability.items()]
    return blocks


def interval_table(
    caption: str, rows: Mapping[str, Mapping[str, Interval]], *, first: str = ""
) -> Table:
    """Return a table of intervals, a line a scorer and a column a metric."""
    metrics = list(dict.fromkeys(metric for row in rows.values() for metric in row))
    cells = [
        [name, *(_stacked(row[metric]) if metric in row else "-" for metric in metrics)]
        for name, row in rows.items()
    ]
    return Table(caption, [first, *metrics], cells)


def _protocol(name: str, protocol: ProtocolFigures) -> Iterator[Block]:
    yield Heading(f"Protocol {name}")
    yield Paragraph(_RANKED[name])
    scorers = protocol.scorers
    chosen = PURCHASES if any(PURCHASES in row for row in scorers.values()) else MRR
    bars = [
        Bar(scorer, row[chosen].value, row[chosen].low, row[chosen].high)
        for scorer, row in scorers.items()
        if chosen in row
    ]
    if bars:
        yield BarPlot(chosen, bars)
    lines = talk_lines(list(scorers))
    talk = {f"{line} ({scorer})": scorers[scorer] for line, scorer in lines.items()}
    yield interval_table("From popularity to the mix", talk, first="what is used")
    yield interval_table("All scorers", scorers, first="scorer")
    coverage = [[scorer, f"{share:.1%}"] for scorer, share in protocol.coverage.items()]
    yield Table("Catalogue coverage of the first ten", ["scorer", "coverage"], coverage)
    if protocol.lift_shares:
        yield interval_table(
            "Share of the knowable oracle's lift over popularity", protocol.lift_shares
        )
    yield Paragraph(_MULTIPLICITY)
    for reference, found in protocol.differences.items():
        yield _difference_table(f"Difference to {reference}", found)
    for segment, row in protocol.segments.items():
        yield interval_table(segment, row, first="scorer")


def _difference_table(caption: str, found: Differences) -> Table:
    metrics = columns_of(found)
    rows = [
        [
            scorer,
            *(
                f"{_stacked(row[metric].interval)}\n{row[metric].verdict}" if metric in row else "-"
                for metric in metrics
            ),
        ]
        for scorer, row in found.items()
    ]
    return Table(caption, ["scorer", *metrics], rows)


def _stacked(interval: Interval) -> str:
    return f"{interval.value:.4g}\n[{interval.low:.4g}, {interval.high:.4g}]"


def _reliability_plot(name: str, reliability: Reliability) -> LinePlot:
    """Draw predicted against observed rates, both as shares of the largest of them."""
    largest = max(max(one.predicted, one.observed) for one in reliability.bins) or 1.0
    points = [(one.predicted / largest, one.observed / largest) for one in reliability.bins]
    return LinePlot(
        f"{name}: tenths of the predictions",
        f"predicted, 1 = {largest:.3g}",
        f"observed, 1 = {largest:.3g}",
        [Line(name, points)],
    )
