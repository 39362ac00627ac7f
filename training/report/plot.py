"""Plots as inline SVG, drawn by matplotlib; equal plots give equal bytes."""
# matplotlib types its options as unknown.
# pyright: reportUnknownMemberType=false

import re
import warnings
from collections.abc import Sequence
from io import StringIO
from typing import Final

import numpy as np
from markupsafe import Markup
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from training.report.block import (
    COLOURS,
    BandPlot,
    Bar,
    BarPlot,
    CountMatrix,
    LinePlot,
    Plot,
    Tone,
)

# On top of matplotlib's defaults, so that no configuration of the machine changes a report.
_STYLE: Final = {
    "figure.dpi": 72,  # a point is then a unit of the view box
    "font.family": ["DejaVu Sans"],  # comes with matplotlib: the same measures on every machine
    "font.size": 13,  # on a phone the widest plot shrinks by a third and stays readable
    "svg.fonttype": "none",  # text stays text, which is found and read aloud
    "svg.hashsalt": "vitrine",  # ids are random without one
    "text.parse_math": False,  # names hold dollar signs
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#999999",
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "xtick.color": "#444444",
    "ytick.color": "#222222",
    "ytick.major.size": 0,
}
_NO_METADATA: Final = dict.fromkeys(("Date", "Creator", "Format", "Type"))
# The names of namespaces are addresses, and mean nothing inside HTML.
_OUTSIDE_HTML: Final = re.compile(r' xmlns(?::xlink)?="[^"]*"')
# Ids of groups are counted anew in every plot, and nothing refers to them.
_GROUP_ID: Final = re.compile(r'<g id="[^"]*"')

# Sizes in pixels, chosen on screenshots of 1,280 and 400 pixels.
_LETTER: Final = 8  # of 13 pixels: between an i and an m
_LONGEST_NAME: Final = 32  # longer names leave no room for bars on a phone
_ROW: Final = 26
_BARS: Final = 250
_SIDE: Final = 300
_CELL: Final = 30
_STEPS: Final = 470
_MAX_STEP_NAMES: Final = 6

_BLUE: Final = "#5b8db8"
_INK: Final = "#222222"
# White on the darker half of the blues, black on the lighter.
_DARK: Final = 0.6
# Beside an axis there is room for eight letters: from 1,000% on without decimals.
_LARGE_SHARE: Final = 10.0
# Chosen: of the last interval, so that the first looks, which know little, do not flatten it.
_BEYOND: Final = 4.0
_MARGIN: Final = 0.05


def draw(plot: Plot) -> Markup:
    """Draw a plot as an SVG element without links, scripts or addresses; texts are escaped.

    Args:
        plot: The plot; its caption is the text for those who do not see it.
    """
    with style.context(["default", _STYLE]), warnings.catch_warnings():
        # Names in scripts that the font lacks: the reader's browser draws them with its own.
        warnings.filterwarnings("ignore", "Glyph .* missing")
        match plot:
            case BarPlot():
                figure = _bars(plot)
            case LinePlot():
                figure = _lines(plot)
            case BandPlot():
                figure = _band(plot)
            case CountMatrix():
                figure = _matrix(plot)
        written = StringIO()
        FigureCanvasSVG(figure).print_svg(written, metadata=_NO_METADATA)
    width, height = figure.get_size_inches() * figure.dpi
    content = written.getvalue()
    content = content[content.index("<svg") :].partition(">")[2]
    content = _GROUP_ID.sub("<g", _OUTSIDE_HTML.sub("", content))
    head = Markup('<svg role="img" aria-label="{}" viewBox="0 0 {:g} {:g}" width="{:g}">')
    return head.format(plot.caption, width, height, width) + Markup(content)  # noqa: S704 - escaped by matplotlib


def _bars(plot: BarPlot) -> Figure:
    left = 12 + _LETTER * max((len(_short(bar.name)) for bar in plot.bars), default=0)
    right = 10 + _LETTER * max((len(_label(bar, plot)) for bar in plot.bars), default=0)
    height = _ROW * max(len(plot.bars), 1)
    figure, axes = _axes((left, _BARS, right), (8, height, 26))
    places = np.arange(len(plot.bars))
    values = np.array([bar.value for bar in plot.bars])
    colours = [COLOURS[bar.mark.tone] if bar.mark else _BLUE for bar in plot.bars]
    axes.barh(places, values, height=0.62, color=colours, alpha=0.75)
    axes.hlines(
        places, [bar.low for bar in plot.bars], [bar.high for bar in plot.bars], colors=_INK, lw=2
    )
    # The last 2% keep the end of the longest interval off the border; an axis needs some length.
    largest = max((bar.high for bar in plot.bars), default=0.0) or 1.0
    axes.set(xlim=(0, largest * 1.02), ylim=(max(len(plot.bars), 1) - 0.5, -0.5))
    axes.set_yticks(places, [_short(bar.name) for bar in plot.bars])
    axes.locator_params(axis="x", nbins=4)
    axes.xaxis.set_major_formatter(lambda value, _: _tick(value, percent=plot.percent))
    axes.grid(axis="x")
    for place, bar in enumerate(plot.bars):
        axes.annotate(
            _label(bar, plot),
            (1, place),
            xycoords=axes.get_yaxis_transform(),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            color=COLOURS[bar.mark.tone] if bar.mark else _INK,
        )
    return figure


def _label(bar: Bar, plot: BarPlot) -> str:
    written = _number(bar.value, percent=plot.percent)
    return f"{written} {bar.mark.word}" if bar.mark else written


def _lines(plot: LinePlot) -> Figure:
    figure, axes = _axes((52, _SIDE, 24), (14, _SIDE, 46))
    axes.plot((0, 1), (0, 1), color="#999999", dashes=(4, 3), lw=1)
    drawn = [
        axes.plot([x for x, _ in line.points], [y for _, y in line.points], marker="o", ms=5, lw=2)
        for line in plot.lines
    ]
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel=plot.x_axis, ylabel=plot.y_axis)
    axes.grid()
    if len(plot.lines) > 1:
        legend = axes.legend([one for (one,) in drawn], ["" for _ in drawn], frameon=False)
        for text, line in zip(legend.get_texts(), plot.lines, strict=True):
            # Not given as a label: matplotlib leaves those out that begin with an underscore.
            text.set_text(_short(line.name))
    return figure


def _band(plot: BandPlot) -> Figure:
    figure, axes = _axes((74, _STEPS, 28), (32, 230, 30))
    steps = np.arange(len(plot.bands))
    low, high = [one.low for one in plot.bands], [one.high for one in plot.bands]
    axes.axhline(0, color="#999999", dashes=(4, 3), lw=1)
    axes.fill_between(steps, low, high, color=_BLUE, alpha=0.35, lw=0)
    axes.plot(steps, [one.value for one in plot.bands], color=COLOURS[Tone.GOOD], marker="o", ms=4)
    every = -(-len(plot.bands) // _MAX_STEP_NAMES) or 1
    axes.set_xticks(steps[::every], [one.name for one in plot.bands[::every]])
    axes.set_ylim(*_reach(plot.bands))
    axes.locator_params(axis="y", nbins=5)
    axes.yaxis.set_major_formatter(lambda value, _: _tick(value, percent=plot.percent))
    axes.set_title(plot.y_axis, loc="left", fontsize=13)
    axes.grid(axis="y")
    return figure


def _reach(bands: Sequence[Bar]) -> tuple[float, float]:
    """Return the ends of the vertical axis, beyond which intervals of earlier steps are cut."""
    if not bands:
        return 0.0, 1.0
    most = _BEYOND * max(abs(bands[-1].low), abs(bands[-1].high)) or 1.0
    low = max(min(0.0, *(one.low for one in bands)), -most)
    high = min(max(0.0, *(one.high for one in bands)), most)
    margin = _MARGIN * (high - low)
    return low - margin, high + margin


def _matrix(matrix: CountMatrix) -> Figure:
    counts = np.array(matrix.counts, dtype=np.float64)
    names = [_short(name) for name in matrix.names]
    margin = 12 + _LETTER * max(map(len, names), default=0)
    side = _CELL * len(names)
    figure, axes = _axes((margin, side, margin // 2), (margin, side, 8))
    # Shares of the true label: rows of few pictures are as readable as those of many.
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.pcolormesh(shares, cmap="Blues", vmin=0, vmax=1, edgecolors="#eeeeee", lw=1)
    axes.invert_yaxis()  # the first label on top, as in a table
    axes.set_yticks(np.arange(len(names)) + 0.5, names)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.set_xticks(np.arange(len(names)) + 0.5, names, rotation=60, ha="left")
    for (row, column), count in np.ndenumerate(counts):
        if count:
            ink = "white" if shares[row, column] > _DARK else _INK
            axes.text(column + 0.5, row + 0.5, f"{count:g}", ha="center", va="center", color=ink)
    return figure


def _axes(across: Sequence[int], down: Sequence[int]) -> tuple[Figure, Axes]:
    """Return a figure with one pair of axes.

    Args:
        across: Left margin, width and right margin in pixels.
        down: Top margin, height and bottom margin in pixels.
    """
    width, height = sum(across), sum(down)
    figure = Figure(figsize=(width / 72, height / 72))
    place = (across[0] / width, down[2] / height, across[1] / width, down[1] / height)
    return figure, figure.add_axes(place)


def _short(name: str) -> str:
    line = " ".join(name.split())
    return line if len(line) <= _LONGEST_NAME else line[: _LONGEST_NAME - 1] + "…"


def _tick(value: float, *, percent: bool) -> str:
    if not percent:
        return f"{value:.3g}"
    return f"{100 * value:.3g}%" if abs(value) < 1 else f"{value:,.0%}"


def _number(value: float, *, percent: bool) -> str:
    if not percent:
        return f"{value:.3g}"
    return f"{value:.2%}" if abs(value) < _LARGE_SHARE else f"{value:,.0%}"
