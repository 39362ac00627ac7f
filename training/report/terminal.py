"""Terminal output of a report: its texts and tables."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from training.report.block import Block, Paragraph, Table

_WIDTH = 160


def print_blocks(blocks: Sequence[Block]) -> None:
    """Print the paragraphs and tables of a report; plots need a page."""
    console = Console(width=_WIDTH)
    for block in blocks:
        match block:
            case Paragraph():
                console.print(Text(block.text))
            case Table():
                table = RichTable(title=Text(block.caption), box=box.SIMPLE, title_justify="left")
                for number, column in enumerate(block.columns):
                    table.add_column(Text(column), justify="right" if number else "left")
                for row in block.rows:
                    table.add_row(*map(Text, row))
                console.print(table)
            case _:
                continue
