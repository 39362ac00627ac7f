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
