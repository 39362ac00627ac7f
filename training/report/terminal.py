"""Terminal output of a report: its texts and tables, in 80 columns."""

from collections.abc import Iterator, Sequence
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from training.report.block import Block, Cell, Conclusion, Paragraph, Table

WIDTH: Final = 80  # of a terminal that was not widened, and of a quoted mail
_BETWEEN: Final = 3  # padding and divider that `rich` puts around a column


def print_blocks(blocks: Sequence[Block]) -> None:
    """Print the texts and tables of a report; plots need a page."""
    console = Console(width=WIDTH)
    for block in blocks:
        match block:
            case Paragraph():
                console.print(Text(block.text))
            case Conclusion():
                console.print(Text(f"{block.mark.word}: {block.text}"))
            case Table():
                print_table(block)
            case _:
                continue


def print_table(table: Table) -> None:
    """Print a table; where it is too wide in lines of its cells, then in parts of its columns.

    Words are broken between letters and columns stay beside each other.
    """
    stacked = [[_text(cell) for cell in row] for row in table.rows]
    joined = [[" ".join(text.split()) for text in row] for row in stacked]
    texts = joined if sum(_widths(table.columns, joined)) < WIDTH else stacked
    console = Console(width=WIDTH)
    console.print(Text(table.caption))
    whole = [[*range(len(table.columns))]]
    for part in whole if table.of_words else _parts(table.columns, texts):
        printed = RichTable(box=box.SIMPLE)
        for column in part:
            printed.add_column(
                Text(table.columns[column]),
                justify="right" if column and not table.of_words else "left",
                overflow="fold",
            )
        for row in texts:
            printed.add_row(*(Text(row[column]) for column in part))
        console.print(printed)


def _text(cell: str | Cell) -> str:
    return cell if isinstance(cell, str) else f"{cell.text} {cell.mark.word}".strip()


def _widths(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    return [
        _BETWEEN
        + max(
            len(line)
            for text in (name, *(row[column] for row in rows))
            for line in text.split("\n")
        )
        for column, name in enumerate(columns)
    ]


def _parts(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[list[int]]:
    """Group columns so that each group fits with the first ones, which tell rows apart."""
    widths = _widths(columns, rows)
    first = [*range(_n_naming(rows))]
    part = list(first)
    for column in range(len(first), len(columns)):
        if len(part) > len(first) and sum(widths[one] for one in (*part, column)) >= WIDTH:
            yield part
            part = list(first)
        part.append(column)
    yield part


def _n_naming(rows: Sequence[Sequence[str]]) -> int:
    """Return how many first columns tell the rows apart; one if no number of them does."""
    n_columns = max(map(len, rows), default=0)
    enough = (n for n in range(1, n_columns) if len({tuple(row[:n]) for row in rows}) == len(rows))
    return next(enough, 1)
