"""Figures of the structure of the code, on a repository of three files a package."""

from pathlib import Path

import pytest

from deploy.structure import count, main, measure, structure

ROOM = '''"""A room."""

LIMIT = 3  # noqa: S101 - steers a checker
"""Guests at most."""


class Room:
    """A room."""

    def open(self, a, b, c, d, e, f, g):  # As many parameters as may be.
        """Open it."""
        return self._open() + _twice(a) + _twice(b)

    def _open(self):
        return _own(1)


def wide(a, b, c, d, *e, f, g, **h): ...


def _twice(a):
    return a + a


def _own(a):
    # A call of itself is no caller.
    return _own(a - 1) if a else 0


def _unused(): ...
'''


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Give packages with a room above, a room below it of the same name, and nothing else."""
    for package in ("app", "models", "training"):
        for folder in (tmp_path / package, tmp_path / package / "below"):
            folder.mkdir()
            (folder / "__init__.py").write_text("")
            (folder / "room.py").write_text(ROOM)
        (tmp_path / package / "hall.py").write_text('"""A hall."""\n')
    return tmp_path


def test_lines_comments_and_functions_of_a_file_are_counted() -> None:
    room = count(Path("app/room.py"), ROOM)

    assert (room.n_lines, room.n_code, room.n_comments, room.n_functions) == (30, 12, 2, 6)


def test_a_private_function_with_one_caller_is_found_and_others_are_not() -> None:
    room = count(Path("app/room.py"), ROOM)

    assert room.called_once == ("app/room.py:14 _open", "app/room.py:25 _own")


def test_parameters_are_counted_without_the_object_and_with_the_rest() -> None:
    assert count(Path("app/room.py"), ROOM).wide == ("app/room.py:18 wide",)


@pytest.mark.parametrize(("n_lines", "n_found"), [(50, 0), (51, 1)])
def test_a_long_function_is_found_by_its_lines_from_def_to_its_end(
    n_lines: int, n_found: int
) -> None:
    source = "@decorated\ndef f():\n" + "    f()\n" * (n_lines - 1)

    assert len(count(Path("app/room.py"), source).long) == n_found


def test_figures_of_a_package_are_put_together(root: Path) -> None:
    app = measure(root)["app"]

    assert (app.files, app.files_per_folder_median, app.files_per_folder_max) == (3, 1.5, 2)
    assert (app.fullest_folder, app.largest_module) == ("app", "app/below/room.py")
    assert (app.lines, app.module_lines_median, app.module_lines_max) == (61, 30, 30)
    assert (app.functions, app.private_called_once, app.private_called_once_share) == (12, 4, 33.33)
    assert app.comments_per_100_lines == pytest.approx(100 * 4 / 61, abs=0.005)
    assert app.places["repeated_classes"] == ["Room: app/below/room.py, app/room.py"]
    assert app.places["repeated_files"] == ["room.py: app/below/room.py, app/room.py"]


def test_a_name_that_two_packages_have_is_not_repeated(root: Path) -> None:
    figures = measure(root)

    assert figures["product"].lines == 3 * figures["app"].lines
    assert [figures[name].repeated_classes for name in ("app", "product")] == [1, 3]


def test_an_empty_module_has_no_shares() -> None:
    nothing = structure([count(Path("app/nothing.py"), "")])

    assert (nothing.private_called_once_share, nothing.comments_per_100_lines) == (0.0, 0.0)


def test_the_command_prints_and_writes_figures_and_refused_words(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "README.md").write_text("A customer and h" + "is room.\n")
    written = root / "figures.json"

    main(["--root", str(root), "--json", str(written)])

    assert "refused words in the whole repository: 1: h" + "is 1" in capsys.readouterr().out
    assert '"path": "README.md"' in written.read_text()
