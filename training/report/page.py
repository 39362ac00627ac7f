"""HTML page of a report: renders blocks to one file without external resources."""

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from typing import Final

from training.report.block import (
    BandPlot,
    BarPlot,
    Block,
    CountMatrix,
    Heading,
    LinePlot,
    Paragraph,
    PictureGrid,
    Table,
)
from training.report.plot import band_plot, bar_plot, count_matrix, line_plot

# A second lock: even markup that slipped through could load and run nothing.
_POLICY: Final = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 1280px; margin: 2rem auto;
  padding: 0 1rem; }
h1, h2 { line-height: 1.2; } h2 { margin-top: 2.5rem; border-bottom: 1px solid #ccc; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
  td { white-space: nowrap; } td small { color: #666; } th { vertical-align: bottom; }
  td, th { padding: .2rem .8rem .2rem 0; text-align: right;
  border-bottom: 1px solid #eee; } td:first-child, th:first-child { text-align: left; }
figure, .wide { margin: 1rem 0; overflow-x: auto; }
figcaption, caption { font-weight: 600; text-align: left; margin-bottom: .4rem;
  white-space: nowrap; }
.grid { display: flex; flex-wrap: wrap; gap: .8rem; } .grid div { width: 150px; font-size: 12px;
  overflow-wrap: anywhere; } .grid img { width: 150px; height: 150px; object-fit: cover; }
.none { display: block; height: 150px; background: #eee; }
svg text { font-size: 12px; } .bar { fill: #8fbccb; } .interval { stroke: #123; stroke-width: 2; }
svg .grid { stroke: #ddd; } .diagonal { stroke: #999;
  stroke-dasharray: 4; } .line { fill: none; stroke-width: 2; }
  .band { fill: #8fbccb; fill-opacity: .5; } .cell { fill: #1f6f8b;
  stroke: #eee; }
"""


def page(title: str, blocks: Sequence[Block]) -> str:
    """Render a report: no script, no link, every text escaped, pictures and plots inside.

    Args:
        title: Of the page.
        blocks: From top to bottom.

    Returns:
        The HTML document.

    Raises:
        ValueError: If a table or matrix is ragged.
    """
    body = "\n".join(_html(block) for block in blocks)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n<h1>{escape(title)}</h1>\n{body}\n</body>\n</html>\n"
    )


def _html(block: Block) -> str:
    match block:
        case Heading():
            return f"<h2>{escape(block.text)}</h2>"
        case Paragraph():
            return f"<p>{escape(block.text)}</p>"
        case Table():
            return _table(block)
        case PictureGrid():
            return _grid(block)
        case _:
            return _figure(block.caption, _plot(block))


def _plot(plot: BarPlot | LinePlot | BandPlot | CountMatrix) -> str:
    match plot:
        case BarPlot():
            return bar_plot(plot)
        case LinePlot():
            return line_plot(plot)
        case BandPlot():
            return band_plot(plot)
        case CountMatrix():
            return count_matrix(plot)


def _table(table: Table) -> str:
    if any(len(row) != len(table.columns) for row in table.rows):
        msg = f"table {table.caption!r} has a row with other than {len(table.columns)} cells"
        raise ValueError(msg)
    # A long name may break where it is joined.
    head = "".join(f"<th>{escape(name).replace('_', '_<wbr>')}</th>" for name in table.columns)
    rows = "\n".join(f"<tr>{''.join(_cell(cell) for cell in row)}</tr>" for row in table.rows)
    return (
        f'<div class="wide"><table><caption>{escape(table.caption)}</caption>\n'
        f"<tr>{head}</tr>\n{rows}\n</table></div>"
    )


def _cell(text: str) -> str:
    first, *others = text.split("\n")
    small = "".join(f"<br><small>{escape(line)}</small>" for line in others)
    return f"<td>{escape(first)}{small}</td>"


def _grid(grid: PictureGrid) -> str:
    cells = "\n".join(
        f"<div>{_image(one.jpeg)}{escape(one.caption)}</div>" for one in grid.pictures
    )
    return _figure(grid.caption, f'<div class="grid">{cells}</div>')


def _image(jpeg: bytes) -> str:
    if not jpeg:
        return '<span class="none"></span>'
    return f'<img alt="" src="data:image/jpeg;base64,{b64encode(jpeg).decode()}">'


def _figure(caption: str, content: str) -> str:
    return f"<figure><figcaption>{escape(caption)}</figcaption>\n{content}</figure>"
