"""Evaluation report: an evaluation as the blocks of an HTML page."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeVar

from models.domain.event import from_us
from models.domain.units import DAY_US
from models.ranker.objective import TrainingObjective
from models.scoring.scorer import META
from training.baselines.baselines import BASELINES
from training.evaluation.conclusion import (
    MARKS,
    RIVAL_MARKS,
    deciding,
    metric_name,
    metric_of,
    outcome_name,
    rivals,
)
from training.evaluation.evaluate import FLOOR, Evaluation, ProtocolFigures
from training.evaluation.example_slates import Thumbnail, currency_of, gallery, talk_lines
from training.evaluation.measure import REALISED_REVENUE, REVENUE
from training.evaluation.output import (
    CALIBRATION_INTERVALS,
    conclusions,
    difference_table,
    interval_table,
    left_out,
    paired_blocks,
)
from training.evaluation.protocol import ORACLES, Protocol
from training.examples.outcomes import outcome_noun
from training.report.block import (
    Bar,
    BarPlot,
    Block,
    Facts,
    Heading,
    Line,
    LinePlot,
    Mark,
    Paragraph,
    Table,
    Tone,
)
from training.statistics.bootstrap import Interval
from training.statistics.calibration_verdict import WANTED
from training.statistics.difference import Verdict

T = TypeVar("T")

_MULTIPLICITY: Final = (
    "Differences are paired slate by slate. 'better' and 'worse' stand only where the 95% "
    "interval excludes 0 and the p-value, adjusted by Holm's method over all scorers of the "
    "column, is below 5%; everything else is open."
)
# "open" says little to a reader who has not come to the tables and their explanation yet.
_PLOT_MARKS: Final = {**RIVAL_MARKS, Verdict.OPEN: Mark("cannot tell", Tone.OPEN)}
_N_COLUMNS: Final = 7  # of intervals, on a page of 1,180 pixels
_WANTED: Final = f"Wanted: {WANTED}. Intervals are over customers. {CALIBRATION_INTERVALS}"
_TITLES: Final[Mapping[str, str]] = {
    Protocol.SHOWN: "Lists that were shown",
    Protocol.OPEN: "All open sales",
}
_RANKED: Final[Mapping[str, str]] = {
    Protocol.SHOWN: "Protocol shown: the last list of every session that something was bought "
    "from is ranked again.",
    Protocol.OPEN: "Protocol open: all sales that were open at a visit are ranked, and judged by "
    "what the customer then bought.",
}
_LINES: Final = (
    "Each row of pictures is the order by one kind of evidence, with its scorer in brackets: what "
    "is popular, what customers with similar visits looked at, similar pictures, and the "
    "meta-model, which uses everything."
)


def document(evaluation: Evaluation, *, thumbnail: Thumbnail) -> list[Block]:
    """Return the blocks of a report: the conclusion, its figures, examples, then the rest.

    Args:
        evaluation: The evaluation.
        thumbnail: Returns the pictures of sales.
    """
    blocks: list[Block] = [*conclusions(evaluation)]
    chosen = deciding(evaluation)
    if chosen is not None:
        blocks += [Facts(list(_facts(chosen, currency_of(evaluation.catalogue))))]
        blocks += [_scorer_plot(chosen)]
    if evaluation.paired:
        blocks += [Heading("Beside another bundle"), *paired_blocks(evaluation)]
    every = evaluation.protocols
    shown_first = next((one for one in (Protocol.OPEN, Protocol.SHOWN) if one in every), None)
    if shown_first is not None:
        examined = every[shown_first]
        blocks += [Heading("Example slates"), Paragraph(f"{_RANKED[shown_first]} {_LINES}")]
        blocks += gallery(
            examined.examples,
            evaluation.catalogue,
            thumbnail=thumbnail,
            outcome=outcome_name(examined),
        )
    for name, protocol in every.items():
        blocks += _protocol(name, protocol)
    if evaluation.reliability:
        blocks += [Heading("Calibration"), Paragraph(_WANTED)]
        figures = {name: one.figures for name, one in evaluation.reliability.items()}
        blocks.append(interval_table("Probabilities of the meta-model", figures))
    for name, one in evaluation.reliability.items():
        # Both axes as shares of the largest rate: purchases are rare, and would lie in a corner.
        largest = max(max(each.predicted, each.observed) for each in one.bins) or 1.0
        points = [(each.predicted / largest, each.observed / largest) for each in one.bins]
        axes = (f"predicted, 1 = {largest:.3g}", f"observed, 1 = {largest:.3g}")
        blocks.append(LinePlot(f"{name}: tenths of the predictions", *axes, [Line(name, points)]))
    return blocks


def _facts(protocol: ProtocolFigures, currency: str) -> Iterator[tuple[str, str, str]]:
    own = protocol.scorers[META]
    money = REVENUE if REVENUE in own else REALISED_REVENUE
    compared = _compared(protocol, money)
    # Without prices and revenue there is no money, and of short lists every order has the same.
    if compared and own[money].high > 0:
        unit = f" {currency}".rstrip()
        yield _money_name(protocol, money), f"{own[money].value:,.4g}{unit}", compared
    for metric, share in protocol.lift_shares.get(META, {}).items():
        if metric == metric_of(protocol):
            text = f"of the best possible gain over {FLOOR} {_interval(share, '.0%')}"
            yield "Lift reached", f"{share.value:.0%}", text
    extent = protocol.extent
    yield "Slates", f"{extent.n_slates:,}", f"of {extent.n_customers:,} customers"
    outcomes = outcome_noun(protocol.objective).capitalize()
    yield outcomes, f"{extent.n_outcomes:,}", "of ranked sales, soon after"
    days = (extent.last_us - extent.first_us) / DAY_US
    first, last = from_us(extent.first_us), from_us(extent.last_us)
    yield "Period", f"{days:.1f} days", f"{first:%-d %b %Y} to {last:%-d %b %Y}, UTC"


def _money_name(protocol: ProtocolFigures, money: str) -> str:
    if money == REVENUE:
        return "Expected revenue a visit, first ten"
    click = protocol.objective is TrainingObjective.CLICK
    return f"Revenue of a slate with a {'click or purchase' if click else 'purchase'}, first ten"


def _compared(protocol: ProtocolFigures, money: str) -> str:
    """Compare the money of the meta-model with others; empty where all have the same."""
    against = rivals(protocol, money)
    if not any(one.interval.low or one.interval.high for one in against.values()):
        return ""
    notes: list[str] = []
    floor = protocol.scorers.get(FLOOR, {})
    gaps = protocol.differences.get(FLOOR, {}).get(META, {})
    if money in floor and money in gaps:
        gap = gaps[money]
        notes.append(
            f"{FLOOR}: {floor[money].value:,.4g}; difference {gap.interval.value:+,.3g} "
            f"{_interval(gap.interval, '+,.3g')}, {gap.verdict}"
        )
    best = next(iter(against), FLOOR)
    if best != FLOOR:
        notes.append(f"best part or baseline, {best}: {protocol.scorers[best][money].value:,.4g}")
    return "; ".join(notes)


def _interval(interval: Interval, form: str) -> str:
    return f"[{interval.low:{form}}, {interval.high:{form}}]"


def _scorer_plot(protocol: ProtocolFigures) -> BarPlot:
    """Draw the metric that decides, the best scorer first, with verdicts beside the meta-model."""
    metric = metric_of(protocol)
    verdicts = {
        scorer: _PLOT_MARKS[row[metric].verdict]
        for scorer, row in protocol.differences.get(META, {}).items()
        if metric in row
    }
    figures = {name: row[metric] for name, row in protocol.scorers.items() if metric in row}
    marks = {**verdicts, META: Mark("this bundle", Tone.REFERENCE)}
    bars = [
        Bar(f"{name} (oracle)", one.value, one.low, one.high)
        if name in ORACLES
        else Bar(
            f"{name} (baseline)" if name in BASELINES else name,
            one.value,
            one.low,
            one.high,
            marks.get(name),
        )
        for name, one in sorted(figures.items(), key=lambda item: -item[1].value)
    ]
    caption = f"{metric_name(protocol)}, with 95% intervals; the word compares with {META}"
    return BarPlot(caption[0].upper() + caption[1:], bars)


def _protocol(name: str, protocol: ProtocolFigures) -> Iterator[Block]:
    yield Heading(_TITLES[name])
    yield Paragraph(_RANKED[name].replace("bought", outcome_name(protocol)))
    protocol, constant = _telling(protocol)
    yield from left_out(protocol.silent, constant)
    scorers = protocol.scorers
    lines = talk_lines(list(scorers))
    talk = {f"{line} ({scorer})": scorers[scorer] for line, scorer in lines.items()}
    yield interval_table("From popularity to the mix", talk, first="what is used")
    figures = interval_table("All scorers", scorers, first="scorer")
    rows = [
        [*row, f"{protocol.coverage[name]:.1%}"]
        for name, row in zip(scorers, figures.rows, strict=True)
    ]
    yield from _narrow(Table(figures.caption, [*figures.columns, "coverage"], rows))
    if protocol.lift_shares:
        yield interval_table(
            f"Share of the knowable oracle's lift over {FLOOR}", protocol.lift_shares
        )
    yield Paragraph(_MULTIPLICITY)
    for reference, found in protocol.differences.items():
        marks = RIVAL_MARKS if reference == META else MARKS
        yield from _narrow(difference_table(f"Difference to {reference}", found, marks=marks))
    if protocol.segments:
        yield Heading(f"{_TITLES[name]}: segments")
    for segment, row in protocol.segments.items():
        n = max((one.n for figures in row.values() for one in figures.values()), default=0)
        yield from _narrow(interval_table(f"{segment}: {n:,} slates", row, first="scorer"))


def _telling(protocol: ProtocolFigures) -> tuple[ProtocolFigures, Sequence[str]]:
    """Leave out and return the metrics that are the same for every scorer, such as of short lists.

    But not the one that decides.
    """
    found: dict[str, list[Interval]] = {}
    for row in protocol.scorers.values():
        for metric, interval in row.items():
            found.setdefault(metric, []).append(interval)
    kept = {name for name, each in found.items() if len(each) == 1 or len({*each}) > 1}
    kept.add(metric_of(protocol))
    telling = replace(
        protocol,
        scorers=_only(protocol.scorers, kept),
        segments={name: _only(rows, kept) for name, rows in protocol.segments.items()},
        differences={name: _only(rows, kept) for name, rows in protocol.differences.items()},
    )
    return telling, [name for name in found if name not in kept]


def _only(rows: Mapping[str, Mapping[str, T]], metrics: Collection[str]) -> dict[str, dict[str, T]]:
    return {
        scorer: {name: one for name, one in row.items() if name in metrics}
        for scorer, row in rows.items()
    }


def _narrow(table: Table) -> Iterator[Table]:
    """Divide a table into ones that fit on the page; each begins with the first column."""
    for start in range(1, len(table.columns), _N_COLUMNS):
        part = slice(start, start + _N_COLUMNS)
        caption = table.caption if start == 1 else f"{table.caption}, continued"
        rows = [[row[0], *row[part]] for row in table.rows]
        yield replace(
            table, caption=caption, columns=[table.columns[0], *table.columns[part]], rows=rows
        )
