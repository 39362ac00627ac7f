"""Interleaving report: results of an interleaving as the blocks of an HTML page."""

from typing import Final

from models.experiments.analysis.interleaving import OVERALL, InterleavingResults
from models.experiments.analysis.interval import Interval
from models.experiments.analysis.preference import Preference
from training.report.block import (
    BandPlot,
    Bar,
    Block,
    Conclusion,
    Heading,
    Mark,
    Paragraph,
    Table,
    Tone,
)

_EXPLAINED: Final = (
    "The preference is the share of customers who credited the second variant more, less that of "
    "the first, among those who credited one more. Intervals and p-values may be looked at every "
    "day. 'overall' decides: by purchases, and by clicks of customers whose purchases decide "
    "nothing. It is no lift: it says which variant is better, not how much more is sold."
)
_UNKNOWN: Final = "–"


def interleaving_document(results: InterleavingResults) -> list[Block]:
    """Return the blocks of what came of an interleaving."""
    overall = next(one for one in results.preferences if one.metric == OVERALL)
    return [
        Paragraph(
            f"{results.experiment}: {results.second} beside {results.first}, interleaved from "
            f"{results.starts_at:%Y-%m-%d %H:%M} until {results.until:%Y-%m-%d %H:%M} UTC, "
            f"assigned by {results.unit}. Events within {results.rules.window_hours:g} hours of a "
            "unit's first interleaved answer count."
        ),
        Conclusion(_mark(overall, is_valid=not results.coins.alarm), results.verdict),
        _preference_table(results),
        Paragraph(_EXPLAINED),
        Heading("Over time"),
        _sequence(overall, second=results.second),
        Heading("Places"),
        _team_table(results),
        _left_out_table(results),
    ]


def _mark(overall: Preference, *, is_valid: bool) -> Mark:
    if not is_valid:
        return Mark("alarm", Tone.BAD)
    marks = {
        -1: Mark("not preferred", Tone.BAD),
        0: Mark("cannot tell", Tone.OPEN),
        1: Mark("preferred", Tone.GOOD),
    }
    return marks[overall.preference.sign]


def _preference_table(results: InterleavingResults) -> Table:
    columns = ["metric", f"for {results.second}", f"for {results.first}", "tied"]
    columns += ["preference", "p"]
    rows = [
        [
            one.metric,
            str(one.for_second),
            str(one.for_first),
            str(one.tied),
            _interval(one.preference),
            f"{one.safe_p_value:.2g}",
        ]
        for one in results.preferences
    ]
    return Table(f"Preference for {results.second}, of {results.analysed} units", columns, rows)


def _sequence(overall: Preference, *, second: str) -> BandPlot | Paragraph:
    bands = [
        Bar(f"{look.until:%m-%d}", value, low, high)
        for look in overall.looks
        for value, low, high in [(look.preference.value, look.preference.low, look.preference.high)]
        if value is not None and low is not None and high is not None
    ]
    if not bands:
        return Paragraph("No customer prefers a variant yet: there is nothing to draw.")
    title = f"Preference for {second}, safe at every look"
    return BandPlot(title, "preference", bands, percent=True)


def _team_table(results: InterleavingResults) -> Table:
    contested = _UNKNOWN if results.contested is None else f"{results.contested:.0%}"
    test = "ALARM" if results.coins.alarm else "no alarm"
    columns = ["variant", "places", "stands above", "clicks", "purchases", "revenue"]
    rows = [
        [
            team.name,
            str(team.places),
            str(results.coins.observed[team.name]),
            str(team.clicks),
            str(team.purchases),
            f"{team.revenue:.2f}",
        ]
        for team in results.teams
    ]
    return Table(
        f"Credits in {results.answers} answers, of whose places {contested} belong to a variant; "
        f"coins p {results.coins.p_value:.3g} ({test})",
        columns,
        rows,
    )


def _left_out_table(results: InterleavingResults) -> Table:
    rows = [[name.replace("_", " "), str(n)] for name, n in results.left_out.items()]
    return Table("Left out", ["reason", "number"], rows)


def _interval(found: Interval) -> str:
    if found.value is None or found.low is None or found.high is None:
        return _UNKNOWN
    return f"{found.value:+.1%}\n[{found.low:+.1%}, {found.high:+.1%}]"
