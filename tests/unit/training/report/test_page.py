"""A report is one page that loads nothing and runs nothing."""

import re
from html.parser import HTMLParser

import pytest

from training.report.block import (
    Band,
    BandPlot,
    Bar,
    BarPlot,
    Block,
    CountMatrix,
    Heading,
    Line,
    LinePlot,
    Paragraph,
    Picture,
    PictureGrid,
    Table,
)
from training.report.page import page

HOSTILE = '<script src="http://evil.example/x.js">\'&"><img src=x onerror=alert(1)>'


class Elements(HTMLParser):
    """Collects what a browser would see."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def every_block(text: str) -> list[Block]:
    return [
        Heading(text),
        Paragraph(text),
        Table(text, [text, "n"], [[text, "7"]]),
        BarPlot(text, [Bar(text, 0.5, 0.25, 1.0)]),
        LinePlot(text, text, text, [Line(text, [(0.0, 0.0), (1.0, 0.5)])]),
        BandPlot(text, text, [Band(text, 0.5, 0.25, 1.0), Band(text, 0.5, -0.25, 1.0)]),
        CountMatrix(text, [text, "b"], [[3, 1], [0, 2]]),
        PictureGrid(text, [Picture(b"\xff\xd8", text)]),
    ]


def test_hostile_texts_are_text() -> None:
    """The same tags and attribute names as with a harmless text, and the text to be read."""
    hostile, harmless = (Elements(page(text, every_block(text))) for text in (HOSTILE, "a"))

    assert hostile.tags == harmless.tags
    assert [name for name, _ in hostile.attributes] == [name for name, _ in harmless.attributes]
    # Title, heading of the page, heading, paragraph, cells, captions.
    assert hostile.text.count(HOSTILE) >= 10


def test_nothing_outside_the_page_is_named() -> None:
    html = page("a", every_block("a"))
    found = Elements(html)

    assert {"script", "link", "iframe", "object"}.isdisjoint(found.tags)
    sources = [value for name, value in found.attributes if name in {"src", "href", "srcset"}]
    assert sources == ["data:image/jpeg;base64,/9g="]
    assert re.findall(r"https?:|url\(|@import", html) == []
    assert "default-src 'none'" in html


def test_bars_are_as_long_as_their_values() -> None:
    """The longest interval's end is 340 units from the start of the bars at 12 + 7 a letter."""
    html = page("a", [BarPlot("a", [Bar("b", 0.5, 0.25, 1.0)], percent=True)])

    assert 'width="170.0"' in html
    assert 'x1="104.0"' in html
    assert 'x2="359.0"' in html
    assert "50.00%" in html


def test_an_axis_of_large_shares_is_written_without_decimals() -> None:
    bands = [Band("d1", 0.5, -0.5, 217.3567), Band("d2", 0.5, 0.0, 2.0)]

    html = page("a", [BandPlot("a", "lift", bands, percent=True)])

    assert "21,736%" in html
    assert "-50.00%" in html


def test_a_band_reaches_from_its_lowest_to_its_highest_end() -> None:
    """260 units for -10% to 30%, from the top at 24: 0 lies at 219, 10% at 154."""
    bands = [Band("d1", 0.1, -0.1, 0.3), Band("d2", 0.1, 0.0, 0.2)]

    html = page("a", [BandPlot("a", "lift", bands, percent=True)])

    assert 'points="70.0,24.0 690.0,89.0 690.0,219.0 70.0,284.0"' in html
    assert 'points="70.0,154.0 690.0,154.0"' in html
    assert "-10.00%" in html


def test_counts_shade_their_share_of_the_row() -> None:
    html = page("a", [CountMatrix("a", ["x", "y"], [[3, 1], [0, 2]])])

    assert re.findall(r'fill-opacity="([\d.]+)"', html) == ["0.75", "0.25", "0.00", "1.00"]


def test_an_empty_plot_is_drawn() -> None:
    assert page("a", [BarPlot("a", []), BandPlot("a", "b", [])]).count("<svg") == 2


def test_a_ragged_table_is_refused() -> None:
    with pytest.raises(ValueError, match="a row with other than 2 cells"):
        page("a", [Table("a", ["x", "y"], [["1"]])])


def test_an_interval_stands_small_below_its_value() -> None:
    html = page("a", [Table("a", ["x", "hit_rate"], [["1", "0.5\n[0.4, <0.6]"]])])

    assert "<td>0.5<br><small>[0.4, &lt;0.6]</small></td>" in html
    assert "<th>hit_<wbr>rate</th>" in html
