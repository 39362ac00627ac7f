"""Tables on a terminal are never wider than 80 columns, and lose nothing."""

import pytest

from training.report.block import Cell, Conclusion, Mark, Paragraph, Table, Tone
from training.report.terminal import WIDTH, print_blocks, print_table

COLUMNS = ["scorer", *(f"expected_figure_{number}" for number in range(7))]


def test_columns_that_do_not_fit_go_on_below(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [[f"scorer {row}", *(f"0.{row}{n} [0.1234, 0.5678]" for n in range(7))] for row in "12"]

    print_table(Table("Everything", COLUMNS, rows))

    lines = capsys.readouterr().out.splitlines()
    printed = "\n".join(lines)
    assert max(map(len, lines)) <= WIDTH
    assert all(printed.count(cell) == 1 for row in rows for cell in row[1:])
    assert printed.count("scorer 1") == printed.count("scorer 2") == 4
    assert printed.count("Everything") == 1


def test_figures_that_fit_in_lines_of_their_cells_stay_beside_each_other(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Three columns of 28 characters are too wide; the intervals below their means are not."""
    row = ["meta", *(f"0.{n}23456789\n[0.1234, 0.56789]" for n in range(3))]

    print_table(Table("Everything", COLUMNS[:4], [row]))

    lines = [line for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert "0.023456789" in lines[3]
    assert "0.223456789" in lines[3]
    assert lines[4].split() == ["[0.1234,", "0.56789]"] * 3
    assert max(map(len, lines)) <= WIDTH


def test_words_of_two_columns_are_broken_and_stay_beside_each_other(
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = ["20261008T000000-228b253661ca", "20261101T000000-d9ec43a531a7"]
    row = ["recommenders", ", ".join(["popularity"] * 6), ", ".join(["content"] * 6)]

    print_table(Table("What differs", ["", *names], [row], of_words=True))

    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert any("popularity," in line and "content," in line for line in lines)
    assert sum("recommenders" in line for line in lines) == 1


def test_each_part_repeats_the_columns_that_tell_its_rows_apart(
    capsys: pytest.CaptureFixture[str],
) -> None:
    columns = ["variant", *COLUMNS]
    rows = [
        [variant, scorer, *(f"0.{n} [0.1234, 0.5678]" for n in range(7))]
        for variant in ("a", "b")
        for scorer in ("one", "two")
    ]

    print_table(Table("Everything", columns, rows))

    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    n_parts = sum(line.startswith("variant scorer") for line in lines)
    assert n_parts > 1
    for name in ("a one", "a two", "b one", "b two"):
        assert sum(line.startswith(name) for line in lines) == n_parts


def test_a_verdict_stands_beside_its_figure(capsys: pytest.CaptureFixture[str]) -> None:
    mark = Mark("worse", Tone.BAD)
    blocks = [
        Conclusion(mark, "below popularity"),
        Paragraph("a paragraph"),
        Table("a", ["x", "y"], [["b", Cell("0.5\n[0.4, 0.6]", mark)]]),
    ]

    print_blocks(blocks)

    printed = capsys.readouterr().out
    assert "worse: below popularity" in printed
    assert "a paragraph" in printed
    assert "0.5 [0.4, 0.6] worse" in printed
