"""Output of commands on stdout and stderr."""

import math
import re
from pathlib import Path

import pytest
import typer

from models.domain.errors import UserError
from training.console import bars, exit_on_user_error, print_json, with_folder


def test_a_json_object_is_one_line_in_which_nan_is_null(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_json({"a": math.nan, "b": [1.5, {"c": math.nan}], "d": True, "e": None})

    printed = capsys.readouterr()
    assert printed.out == '{"a": null, "b": [1.5, {"c": null}], "d": true, "e": null}\n'


def test_an_expected_error_ends_with_status_1_and_its_message_on_stderr(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for error in (UserError("no sales in d"), OSError("no sales in d")):
        with pytest.raises(typer.Exit) as stopped, exit_on_user_error():
            raise error

        assert stopped.value.exit_code == 1
        assert capsys.readouterr() == ("", "error: no sales in d\n")


def test_an_unexpected_error_is_not_hidden() -> None:
    with pytest.raises(KeyError, match="lost"), exit_on_user_error():
        raise KeyError("lost")  # noqa: EM101 - a bug, not a message


def test_a_file_to_write_gets_its_folder_before_the_work_begins(tmp_path: Path) -> None:
    page = tmp_path / "new" / "folder" / "page.html"

    assert with_folder(page) == page
    assert page.parent.is_dir()
    assert with_folder(None) is None


def test_a_folder_that_cannot_be_made_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(typer.BadParameter, match="file cannot be made"):
        with_folder(tmp_path / "file" / "page.html")


def test_bars_keep_stdout_clean_and_finish_stages_that_had_no_total(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with bars() as progress:
        progress.stage("features", 2)
        progress.tick()
        progress.stage("ranker")
        progress.stage("done")

    printed = capsys.readouterr()
    assert printed.out == ""
    for line in ("reading", "features", "ranker", "done"):
        assert line in printed.err


def test_where_stderr_is_no_terminal_progress_is_a_line_at_each_tenth(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with bars() as progress:
        progress.stage("features", 2_500)
        for _ in range(2_500):
            progress.tick()

    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "reading"
    assert lines[2] == "features: 0 of 2,500"
    assert re.fullmatch(r"features: 250 of 2,500, about \d+ s left", lines[3])
    assert re.fullmatch(r"features: 2,250 of 2,500, about \d+ s left", lines[11])
    assert lines[12].startswith("features: 2,500, done, ")
    assert len(lines) == 13


def test_steps_are_counted_up_to_the_last(capsys: pytest.CaptureFixture[str]) -> None:
    with bars() as progress:
        progress.reach("sales", done=0, total=2)
        progress.reach("events", done=1, total=2)
        progress.reach("done", done=2, total=2)

    steps = [line for line in capsys.readouterr().err.splitlines() if "step" in line]
    assert steps == ["sales: step 1 of 2", "events: step 2 of 2"]
