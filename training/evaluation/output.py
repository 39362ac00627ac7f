"""Output of an evaluation: JSON, and tables on a terminal."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Final

from pydantic import JsonValue

from models.scoring.scorer import META
from training.evaluation.comparison import Differences
from training.evaluation.conclusion import (
    MARKS,
    RIVAL_MARKS,
    calibration_conclusion,
    conclusion,
    metric_name,
    metric_of,
    paired_conclusion,
)
from training.evaluation.evaluate import Evaluation, ProtocolFigures
from training.evaluation.protocol import RANDOM
from training.report.block import Block, Cell, Mark, Paragraph, Table
from training.report.terminal import print_blocks
from training.statistics.bootstrap import Interval
from training.statistics.calibration_verdict import calibration_verdict
from training.statistics.difference import Difference, Verdict

CALIBRATION_INTERVALS: Final = (
    "A calibration error is never below 0: noise raises it, in each resample once more. Its "
    "interval may lie above it, and is no lower bound; slope and intercept have no such bias."
)


def as_json(evaluation: Evaluation) -> dict[str, JsonValue]:
    """Return all figures.

    ``figures``, ``segments``, ``differences``, ``lift_shares``, ``coverage`` and ``silent`` are by
    protocol, ``calibration`` is by kind of prediction; ``paired``, with a reference bundle, by
    protocol.
    """
    protocols = evaluation.protocols
    found = conclusion(evaluation)
    return {
        "conclusion": {
            "verdict": found.mark.word,
            "text": found.text,
            "calibration": calibration_conclusion(evaluation),
        },
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
        "silent": {name: [*one.silent] for name, one in protocols.items()},
        "calibration": {
            name: {
                **{metric: asdict(interval) for metric, interval in one.figures.items()},
                "verdict": calibration_verdict(one.figures).value,
                "bins": [asdict(each) for each in one.bins],
            }
            for name, one in evaluation.reliability.items()
        },
        "paired": {
            name: {
                "reference": one.reference_id,
                "figures": plain({META: one.own, one.reference_id: one.reference}),
                "differences": compared({META: one.differences}),
            }
            for name, one in evaluation.paired.items()
        },
    }


def print_tables(evaluation: Evaluation) -> None:
    """Print the conclusion, a table of scorers a protocol, shares of the lift, and calibration."""
    blocks: list[Block] = [*conclusions(evaluation), *paired_blocks(evaluation)]
    for name, protocol in evaluation.protocols.items():
        blocks += [summary_table(name, protocol), *left_out(protocol.silent)]
        if protocol.lift_shares:
            caption = f"{name}: share of the knowable lift"
            blocks.append(interval_table(caption, protocol.lift_shares))
    if evaluation.reliability:
        blocks += [_calibration_table(evaluation), Paragraph(CALIBRATION_INTERVALS)]
    blocks.append(Paragraph("All metrics, differences and segments: --report, --json."))
    print_blocks(blocks)


def conclusions(evaluation: Evaluation) -> Iterator[Block]:
    """Yield what an evaluation says of orders and of probabilities."""
    yield conclusion(evaluation)
    yield Paragraph(calibration_conclusion(evaluation))


def summary_table(name: str, protocol: ProtocolFigures) -> Table:
    """Return the scorers by the metric that decides, the best first, with differences to meta."""
    metric = metric_of(protocol)
    found = {scorer: row[metric] for scorer, row in protocol.scorers.items() if metric in row}
    gaps = protocol.differences.get(META, {})
    rows: list[list[str | Cell]] = []
    for scorer, one in sorted(found.items(), key=lambda item: -item[1].value):
        gap = gaps.get(scorer, {}).get(metric)
        text = "" if gap is None else _stacked(gap.interval)
        cell = text if gap is None else Cell(text, RIVAL_MARKS[gap.verdict])
        # Beside others that were judged on all slates.
        label = scorer if one.n == found[META].n else f"{scorer} (of {one.n:,} slates)"
        rows.append([label, _stacked(one), cell])
    return Table(f"{name}: {metric_name(protocol)}", ["scorer", "mean", f"- {META}"], rows)


def left_out(silent: Sequence[str], metrics: Sequence[str] = ()) -> Iterator[Paragraph]:
    """Say which scorers and metrics are left out, and why; nothing if none is."""
    if silent:
        yield Paragraph(
            f"Left out, as they say nothing of these slates and would rank as `{RANDOM}` does: "
            f"{', '.join(silent)}."
        )
    if metrics:
        yield Paragraph(
            "Left out, as they are the same for every order, such as of lists with at most ten "
            f"sales: {', '.join(metrics)}. They are in --json."
        )


def paired_blocks(evaluation: Evaluation) -> Iterator[Block]:
    """Yield the comparison with a reference bundle, a line a metric; nothing without one."""
    if not evaluation.paired:
        return
    yield paired_conclusion(evaluation)
    for name, one in evaluation.paired.items():
        rows: list[list[str | Cell]] = [
            [
                # Short texts: the four columns fit on 80 characters, and are read across.
                metric.replace("_at_", "@"),
                f"{one.own[metric].value:.4g}",
                f"{one.reference[metric].value:.4g}",
                _stacked(found.interval, digits=3),
            ]
            for metric, found in one.differences.items()
        ]
        columns = ["", "this", "other", "difference"]
        yield Table(f"{name}: this bundle less the other, {one.reference_id}", columns, rows)


def interval_table(
    caption: str, rows: Mapping[str, Mapping[str, Interval]], *, first: str = ""
) -> Table:
    """Return a table of intervals, a line a scorer and a column a metric; ``first`` names lines."""
    metrics = list(dict.fromkeys(metric for row in rows.values() for metric in row))
    cells = [
        [name, *(_stacked(row[metric]) if metric in row else "-" for metric in metrics)]
        for name, row in rows.items()
    ]
    return Table(caption, [first, *metrics], cells)


def _calibration_table(evaluation: Evaluation) -> Table:
    """Return a line a figure: more than three do not fit beside each other."""
    kinds = evaluation.reliability
    metrics = dict.fromkeys(metric for one in kinds.values() for metric in one.figures)
    rows = {
        metric: {kind: one.figures[metric] for kind, one in kinds.items() if metric in one.figures}
        for metric in metrics
    }
    return interval_table("calibration", rows)


def difference_table(
    caption: str, found: Differences, *, marks: Mapping[Verdict, Mark] = MARKS
) -> Table:
    """Return a table of paired differences with verdicts, a line a scorer, a column a metric."""
    metrics = list(dict.fromkeys(metric for row in found.values() for metric in row))
    cells = [
        [
            scorer,
            *(
                Cell(_stacked(row[metric].interval), marks[row[metric].verdict])
                if metric in row
                else "-"
                for metric in metrics
            ),
        ]
        for scorer, row in found.items()
    ]
    return Table(caption, ["scorer", *metrics], cells)


def plain(scorers: Mapping[str, Mapping[str, Interval]]) -> JsonValue:
    """Return intervals by scorer and metric as JSON."""
    return {
        scorer: {metric: asdict(interval) for metric, interval in metrics.items()}
        for scorer, metrics in scorers.items()
    }


def compared(found: Mapping[str, Mapping[str, Difference]]) -> JsonValue:
    """Return paired differences by scorer and metric as JSON."""
    return {
        scorer: {
            metric: {**asdict(one.interval), "p": one.p, "verdict": one.verdict.value}
            for metric, one in metrics.items()
        }
        for scorer, metrics in found.items()
    }


def _stacked(interval: Interval, *, digits: int = 4) -> str:
    # Minus 0 and 0 are equal, and the sum with 0 has no sign.
    ends = (interval.value, interval.low, interval.high)
    value, low, high = (f"{end + 0.0:.{digits}g}" for end in ends)
    # Where all resamples agree, as those of one customer, they say nothing of the error.
    return value if interval.low == interval.high else f"{value}\n[{low}, {high}]"
