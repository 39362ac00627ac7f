"""Plots as inline SVG."""

from html import escape
from typing import Final

from training.report.block import BandPlot, BarPlot, CountMatrix, LinePlot

_NAME_WIDTH: Final = 300
_LETTER: Final = 7
_BAR_WIDTH: Final = 340
_ROW: Final = 24
_SIDE: Final = 320
_MARGIN: Final = 48
_CELL: Final = 26
_LONGEST_NAME: Final = 42
_WIDE: Final = 620
_LOW_SIDE: Final = 260
_LEFT: Final = 70
_MAX_NAMES: Final = 8
_TICKS: Final = (0.0, 0.25, 0.5, 0.75, 1.0)
_DARK: Final = 0.6
_COLOURS: Final = ("#1f6f8b", "#c4572b", "#6b8e23", "#7a4fa3")

_LARGE_SHARE: Final = 10.0


def bar_plot(plot: BarPlot) -> str:
    """Draw horizontal bars, their intervals as lines, their values as text."""
    largest = max((bar.high for bar in plot.bars), default=0.0) or 1.0
    longest = max((len(_short(bar.name)) for bar in plot.bars), default=0)
    left = min(_NAME_WIDTH, longest * _LETTER + 12)
    parts: list[str] = []
    for row, bar in enumerate(plot.bars):
        y = row * _ROW + _ROW / 2
        value, low, high = (
            left + number / largest * _BAR_WIDTH for number in (bar.value, bar.low, bar.high)
        )
        parts += [
            _text(left - 8, y + 4, _short(bar.name), anchor="end"),
            f'<rect class="bar" x="{left}" y="{y - 8:.1f}" '
            f'width="{value - left:.1f}" height="16"/>',
            _segment((low, y), (high, y), "interval"),
            _text(left + _BAR_WIDTH + 10, y + 4, _number(bar.value, percent=plot.percent)),
        ]
    return _svg(left + _BAR_WIDTH + 80, len(plot.bars) * _ROW, plot.caption, parts)


def line_plot(plot: LinePlot) -> str:
    """Draw lines in the unit square, over its diagonal."""
    parts = [_segment(_at(0, 0), _at(1, 1), "diagonal")]
    for tick in _TICKS:
        parts += [
            _segment(_at(tick, 0), _at(tick, 1), "grid"),
            _segment(_at(0, tick), _at(1, tick), "grid"),
            _text(_at(tick, 0)[0], _SIDE + _MARGIN + 2, f"{tick:g}", anchor="middle"),
            _text(_MARGIN - 6, _at(0, tick)[1] + 4, f"{tick:g}", anchor="end"),
        ]
    for number, line in enumerate(plot.lines):
        colour = _COLOURS[number % len(_COLOURS)]
        points = [_at(x, y) for x, y in line.points]
        parts.append(f'<polyline class="line" stroke="{colour}" points="{_path(points)}"/>')
        parts += [f'<circle fill="{colour}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>' for x, y in points]
        parts.append(_text(_SIDE + _MARGIN + 12, _MARGIN + 20 * number, line.name, fill=colour))
    middle = _MARGIN + _SIDE / 2
    parts.append(_text(middle, _SIDE + _MARGIN + 20, plot.x_axis, anchor="middle"))
    parts.append(_text(_MARGIN, 18, plot.y_axis))
    return _svg(_SIDE + _MARGIN + 200, _SIDE + _MARGIN + 28, plot.caption, parts)


def band_plot(plot: BandPlot) -> str:
    """Draw a value over steps, its interval as a band, and a line at 0."""
    ends = [0.0, *(end for band in plot.bands for end in (band.low, band.high))]
    bottom, height = min(ends), (max(ends) - min(ends)) or 1.0
    step = _WIDE / max(len(plot.bands) - 1, 1)

    def y(value: float) -> float:
        return _MARGIN / 2 + (1 - (value - bottom) / height) * _LOW_SIDE

    xs = [_LEFT + number * step for number in range(len(plot.bands))]
    upper = [(x, y(band.high)) for x, band in zip(xs, plot.bands, strict=True)]
    lower = [(x, y(band.low)) for x, band in zip(xs, plot.bands, strict=True)]
    middle = [(x, y(band.value)) for x, band in zip(xs, plot.bands, strict=True)]
    parts = [
        f'<polygon class="band" points="{_path([*upper, *reversed(lower)])}"/>',
        _segment((_LEFT, y(0.0)), (_LEFT + _WIDE, y(0.0)), "diagonal"),
        f'<polyline class="line" stroke="{_COLOURS[0]}" points="{_path(middle)}"/>',
        *(f'<circle fill="{_COLOURS[0]}" cx="{a:.1f}" cy="{b:.1f}" r="3"/>' for a, b in middle),
        _text(_LEFT, 14, plot.y_axis),
    ]
    for tick in _TICKS:
        value = bottom + tick * height
        written = _number(value, percent=plot.percent)
        parts.append(_text(_LEFT - 6, y(value) + 4, written, anchor="end"))
    every = -(-len(plot.bands) // _MAX_NAMES) or 1
    below = _LOW_SIDE + _MARGIN / 2 + 18
    for x, band in list(zip(xs, plot.bands, strict=True))[::every]:
        parts.append(_text(x, below, band.name, anchor="middle"))
    return _svg(_LEFT + _WIDE + 50, below + 10, plot.caption, parts)


def count_matrix(matrix: CountMatrix) -> str:
    """Draw counts as cells, darker the larger their share of the row."""
    left, top = 190, 150
    parts: list[str] = []
    for row, (name, counts) in enumerate(zip(matrix.names, matrix.counts, strict=True)):
        y = top + row * _CELL
        parts.append(_text(left - 6, y + 17, _short(name), anchor="end"))
        x = left + row * _CELL + 16
        parts.append(
            f'<text transform="translate({x},{top - 6}) rotate(-60)">{escape(_short(name))}</text>'
        )
        total = sum(counts) or 1
        for column, count in enumerate(counts):
            parts += _cell(left + column * _CELL, y, count, share=count / total)
    side = len(matrix.names) * _CELL
    return _svg(left + side + 110, top + side + 4, matrix.caption, parts)


def _cell(x: float, y: float, count: int, *, share: float) -> list[str]:
    cell = (
        f'<rect class="cell" x="{x}" y="{y}" width="{_CELL}" height="{_CELL}" '
        f'fill-opacity="{share:.2f}"/>'
    )
    if not count:
        return [cell]
    fill = "#fff" if share > _DARK else "#222"
    return [cell, _text(x + _CELL / 2, y + 17, str(count), anchor="middle", fill=fill)]


def _at(x: float, y: float) -> tuple[float, float]:
    return _MARGIN + x * _SIDE, _MARGIN / 2 + (1 - y) * _SIDE + 4


def _path(points: list[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _segment(start: tuple[float, float], end: tuple[float, float], kind: str) -> str:
    ends = f'x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}"'
    return f'<line class="{kind}" {ends}/>'


def _text(x: float, y: float, text: str, *, anchor: str = "start", fill: str = "#222") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}"'
    return f"<text {place}>{escape(text)}</text>"


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"


def _number(value: float, *, percent: bool) -> str:
    if not percent:
        return f"{value:.3g}"
    # Beside an axis there is room for eight letters.
    return f"{value:.2%}" if abs(value) < _LARGE_SHARE else f"{value:,.0%}"


def _svg(width: float, height: float, caption: str, parts: list[str]) -> str:
    size = f'width="{width:g}" height="{height:g}" viewBox="0 0 {width:g} {height:g}"'
    return f'<svg role="img" aria-label="{escape(caption)}" {size}>{"".join(parts)}</svg>'
