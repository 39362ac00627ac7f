"""Blocks of a report: headings, verdicts, tables, plots and pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Tone(StrEnum):
    """Colour of a verdict; its word stands beside it."""

    GOOD = "good"
    BAD = "bad"
    OPEN = "open"
    REFERENCE = "reference"


# Blue and, darkened to be read as text, vermilion of Okabe and Ito, Color Universal Design, 2002:
# readers with any kind of colour blindness keep them apart.
COLOURS: Final = {
    Tone.GOOD: "#0072b2",
    Tone.BAD: "#b84a00",
    Tone.OPEN: "#666666",
    Tone.REFERENCE: "#222222",
}


@dataclass(frozen=True, slots=True)
class Mark:
    """The word of a verdict, and its colour."""

    word: str
    tone: Tone


@dataclass(frozen=True, slots=True)
class Heading:
    """The title of a section, listed in the table of contents."""

    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Plain text."""

    text: str


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The sentence that a reader takes along, with its verdict."""

    mark: Mark
    text: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Figures in large type, each with its name and a line that explains it.

    Attributes:
        facts: Name, figure and explanation of each.
    """

    facts: Sequence[tuple[str, str, str]]


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table with a verdict.

    Attributes:
        text: As of a cell without one.
        mark: The verdict, below the text.
    """

    text: str
    mark: Mark


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text; the first column names the row.

    Attributes:
        caption: What it shows.
        columns: Names of the columns.
        rows: As many cells a row as there are columns; the further lines of a cell are small.
        of_words: Whether cells are words, aligned to the left, and not figures.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | Cell]]
    of_words: bool = False


@dataclass(frozen=True, slots=True)
class Bar:
    """A value and its interval, finite; in a `BarPlot` no less than 0.

    Attributes:
        name: Of the bar.
        value: Its length.
        low: Lower end of the interval.
        high: Upper end of the interval.
        mark: A verdict on it.
    """

    name: str
    value: float
    low: float
    high: float
    mark: Mark | None = None


@dataclass(frozen=True, slots=True)
class BarPlot:
    """Horizontal bars with intervals.

    Attributes:
        caption: What it shows.
        bars: From top to bottom.
        percent: Whether values are shares, to be written in percent.
    """

    caption: str
    bars: Sequence[Bar]
    percent: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """Points in the unit square, joined in their order."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class LinePlot:
    """Lines in the unit square, over its diagonal.

    Attributes:
        caption: What it shows.
        x_axis: Name of the horizontal axis.
        y_axis: Name of the vertical axis.
        lines: The lines.
    """

    caption: str
    x_axis: str
    y_axis: str
    lines: Sequence[Line]


@dataclass(frozen=True, slots=True)
class BandPlot:
    """A value with its interval over equal steps, beside a line at 0.

    Attributes:
        caption: What it shows.
        y_axis: Name of the vertical axis.
        bands: From left to right; no interval where both ends are the value.
        percent: Whether values are shares, to be written in percent.
    """

    caption: str
    y_axis: str
    bands: Sequence[Bar]
    percent: bool = False


@dataclass(frozen=True, slots=True)
class CountMatrix:
    """Counts by row and column, darker where larger within the row.

    Attributes:
        caption: What it shows, and what rows and columns are.
        names: Of the rows and of the columns.
        counts: As many rows and columns as names, no less than 0.
    """

    caption: str
    names: Sequence[str]
    counts: Sequence[Sequence[int]]


@dataclass(frozen=True, slots=True)
class Picture:
    """A thumbnail.

    Attributes:
        jpeg: The file's bytes; none for a blank in its place.
        caption: Text below it.
        mark: A verdict on it, below the text.
    """

    jpeg: bytes
    caption: str
    mark: Mark | None = None


@dataclass(frozen=True, slots=True)
class PictureGrid:
    """Pictures beside each other."""

    caption: str
    pictures: Sequence[Picture]


Plot = BarPlot | LinePlot | BandPlot | CountMatrix
Block = Heading | Paragraph | Conclusion | Facts | Table | Plot | PictureGrid
