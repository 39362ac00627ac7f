"""A report is one page that loads nothing and runs nothing."""

import re
from html.parser import HTMLParser

import pytest
from matplotlib import rcParams

from training.report.block import (
    COLOURS,
    BandPlot,
    Bar,
    BarPlot,
    Block,
    Cell,
    Conclusion,
    CountMatrix,
    Facts,
    Heading,
    Line,
    LinePlot,
    Mark,
    Paragraph,
    Picture,
    PictureGrid,
    Table,
    Tone,
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
    mark = Mark(text, Tone.BAD)
    return [
        Conclusion(mark, text),
        Facts([(text, text, text)]),
        Heading(text),
        Heading(text),
        Heading(text),
        Paragraph(text),
        Table(text, [text, "n"], [[text, Cell(text, mark)]]),
        BarPlot(text, [Bar(text, 0.5, 0.25, 1.0), Bar(text, 0.5, 0.25, 1.0, mark)]),
        LinePlot(text, text, text, [Line(text, [(0.0, 0.0), (1.0, 0.5)]), Line(text, [])]),
        BandPlot(text, text, [Bar(text, 0.5, 0.25, 1.0), Bar(text, 0.5, -0.25, 1.0)]),
        CountMatrix(text, [text, "b"], [[3, 1], [0, 2]]),
        PictureGrid(text, [Picture(b"\xff\xd8", text, mark), Picture(b"", text)]),
    ]


def test_hostile_texts_are_text() -> None:
    """The same tags and attribute names as with a harmless text, and the text to be read."""
    as_long = "a" * len(HOSTILE)
    hostile, harmless = (Elements(page(text, every_block(text))) for text in (HOSTILE, as_long))

    assert hostile.tags == harmless.tags
    assert [name for name, _ in hostile.attributes] == [name for name, _ in harmless.attributes]
    # Title, heading of the page, heading, paragraph, cells, captions.
    assert hostile.text.count(HOSTILE) >= 10


@pytest.mark.parametrize("text", ["$x^2$ costs $5", r"$\frac{", "日本語", "two\nlines", "_a$_"])
def test_no_name_is_read_as_a_formula_or_fails(text: str) -> None:
    """Nor does a script that the plots' font lacks: the browser has fonts of its own."""
    texts = " ".join(Elements(page(text, every_block(text))).text)

    assert " ".join(text.split()) in " ".join(texts.split())


def test_sales_without_pictures_have_no_empty_boxes() -> None:
    """Beside a picture a box keeps the captions in line."""
    plain = Picture(b"", "s1")

    def is_boxed(*pictures: Picture) -> bool:
        return 'class="none"' in page("a", [PictureGrid("a", pictures)])

    assert is_boxed(plain, Picture(b"\xff\xd8", "s2"))
    assert not is_boxed(plain, plain)


def test_nothing_outside_the_page_is_named() -> None:
    html = page("a", every_block("a"))
    found = Elements(html)

    assert {"script", "link", "iframe", "object"}.isdisjoint(found.tags)
    sources = [value for name, value in found.attributes if name in {"src", "srcset"}]
    assert sources == ["data:image/jpeg;base64,/9g="]
    links = [value for name, value in found.attributes if name in {"href", "xlink:href"}]
    assert {(value or "")[:1] for value in links} == {"#"}
    assert re.findall(r"https?:|url\((?!#)|@import", html) == []
    assert "default-src 'none'" in html


def test_equal_blocks_give_equal_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the machine has a configuration of matplotlib of its own."""
    before = page("a", every_block("a"))
    monkeypatch.setitem(rcParams, "font.size", 30.0)
    monkeypatch.setitem(rcParams, "svg.hashsalt", "another")

    assert page("a", every_block("a")) == before


def path_of(html: str, style: str) -> list[tuple[float, float]]:
    """Points of the first path that is drawn in a style."""
    drawn = re.search(rf'<path (?:id="\w+" )?d="([^"]*)"[^>]*style="[^"]*{style}', html)
    assert drawn is not None
    return [(float(x), float(y)) for x, y in re.findall(r"[ML] ([-\d.]+) ([-\d.]+)", drawn[1])]


def test_bars_are_as_long_as_their_values() -> None:
    """The longest interval's end is 250 / 1.02 units from the start of the bars."""
    html = page("a", [BarPlot("a", [Bar("b", 0.5, 0.25, 1.0)], percent=True)])

    unit = 250 / 1.02
    left, right = sorted({x for x, _ in path_of(html, "fill: #5b8db8")})
    assert left == 12 + 8
    assert right == pytest.approx(left + 0.5 * unit)
    interval = [x for x, _ in path_of(html, "stroke: #222222; stroke-width: 2")]
    assert interval == pytest.approx([left + 0.25 * unit, left + unit])
    assert ">50.00%</text>" in html


def test_a_verdict_on_a_bar_is_a_word_beside_its_value() -> None:
    """Readers need not tell colours apart."""
    bars = [Bar("b", 0.5, 0.25, 1.0, Mark("worse", Tone.BAD)), Bar("c", 0.5, 0.25, 1.0)]

    html = page("a", [BarPlot("a", bars)])

    assert ">0.5 worse</text>" in html
    assert path_of(html, f"fill: {COLOURS[Tone.BAD]}") != []


def test_an_axis_of_large_shares_is_written_without_decimals() -> None:
    bands = [Bar("d1", 0.5, -0.5, 2.0), Bar("d2", 0.5, 0.0, 217.3567)]

    html = page("a", [BandPlot("a", "lift", bands, percent=True)])

    assert ">20,000%</text>" in html
    assert ">0%</text>" in html


def test_the_wide_interval_of_an_early_step_does_not_flatten_the_last_one() -> None:
    """The first looks of an experiment know little: the axis ends at four times the last one."""
    bands = [Bar("d1", 0.5, -9.0, 50.0), Bar("d2", 0.1, -0.1, 0.25)]

    html = page("a", [BandPlot("a", "lift", bands, percent=True)])

    ticks = re.findall(r">(−?-?[\d.]+)%</text>", html)
    assert max(map(float, ticks)) == 100


def test_a_band_reaches_from_its_lowest_to_its_highest_end() -> None:
    """40% of a lift from -10% to 30%, with a margin of a twentieth at each side, on 230 units."""
    bands = [Bar("d1", 0.1, -0.1, 0.3), Bar("d2", 0.1, 0.0, 0.2)]

    html = page("a", [BandPlot("a", "lift", bands, percent=True)])

    defined = re.search(r'<path id="(\w+)" d="([^"]*)"/>', html)
    assert defined is not None
    heights = [float(y) for y in re.findall(r"[ML] [-\d.]+ ([-\d.]+)", defined[2])]
    assert max(heights) - min(heights) == pytest.approx(230 / 1.1, abs=0.001)
    middle = {y for _, y in path_of(html, f"stroke: {COLOURS[Tone.GOOD]}")}
    assert len(middle) == 1


def test_counts_shade_their_share_of_the_row() -> None:
    """From white to the darkest blue of the scale; a count of 0 is no text."""
    html = page("a", [CountMatrix("a", ["x", "y"], [[3, 1], [0, 2]])])

    shades = re.findall(r"fill: (#\w{6}); stroke: #eeeeee", html)
    lightness = [int(shade[1:3], 16) for shade in shades]
    assert len(lightness) == 4
    assert lightness[2] > lightness[1] > lightness[0] > lightness[3]
    assert re.findall(r">(\d)</text>", html) == ["3", "1", "2"]


def test_sections_are_listed_before_the_first_of_them() -> None:
    blocks = [Paragraph("opening"), *(Heading(name) for name in ("one", "two", "three"))]

    html = page("a", blocks)

    assert html.index("opening") < html.index("<nav>") < html.index("<h2")
    assert re.findall(r'<a href="#([\w-]+)">(\w+)', html) == [
        ("section-1", "one"),
        ("section-2", "two"),
        ("section-3", "three"),
    ]
    assert re.findall(r'<h2 id="([\w-]+)">', html) == ["section-1", "section-2", "section-3"]
    assert "<nav>" not in page("a", blocks[:-1])


def test_an_empty_plot_is_drawn() -> None:
    assert page("a", [BarPlot("a", []), BandPlot("a", "b", [])]).count("<svg") == 2


def test_a_ragged_table_is_refused() -> None:
    with pytest.raises(ValueError, match="a row with other than 2 cells"):
        page("a", [Table("a", ["x", "y"], [["1"]])])


def test_an_interval_stands_small_below_its_value() -> None:
    html = page("a", [Table("a", ["x", "hit_rate"], [["1", "0.5\n[0.4, <0.6]"]])])

    assert "<td>0.5<br><small>[0.4, &lt;0.6]</small></td>" in html
    assert "<th>hit_<wbr>rate</th>" in html


def test_a_verdict_in_a_table_is_a_word_in_its_colour() -> None:
    html = page("a", [Table("a", ["x"], [[Cell("0.5", Mark("worse", Tone.BAD))]])])

    assert '<td>0.5<br><span class="mark bad">worse</span></td>' in html


def test_backticks_mark_code_and_other_text_stays_escaped() -> None:
    html = page("t", [Paragraph(f"see `evaluate` and {HOSTILE}"), Conclusion(*_said())])

    assert "see <code>evaluate</code> and &lt;script" in html
    assert "<code>--json</code>" in html
    assert "script" not in Elements(html).tags


def _said() -> tuple[Mark, str]:
    return Mark("open", Tone.OPEN), "more in `--json`"
