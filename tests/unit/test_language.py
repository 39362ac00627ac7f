"""The language of the repository, and the rule that finds refused words."""

from pathlib import Path

import pytest

from deploy.language import python_words, refused, text_words
from tests.proofs import ROOT

# Parts of words, so that this file does not hold what it looks for.
HE, TOLD, EVER = "h" + "e", "t" + "old", "for e" + "ver"
ON_TWO_LINES = EVER.replace(" ", "\n")


def test_prose_of_the_repository_holds_no_refused_word() -> None:
    """`deploy/language.py` lists them; the first of a file is where to begin."""
    assert [f"{place.path}:{place.line}: {place.word}" for place in refused(ROOT)] == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        (f'"""A room.\n\nWhat {HE} saw.\n"""\n', [(3, HE)]),
        (f"x = 1  # What {HE} saw\n", [(1, HE)]),
        (f'x = f"{{y}} as {TOLD}"\n', [(1, TOLD)]),
        (f'x = "lasts {EVER}"\n', [(1, EVER)]),
        (f'x = "{TOLD.upper()} so"\n', [(1, TOLD)]),
        (f'{TOLD} = {{"{TOLD}": {HE}}}\n', []),
        (f"x = \"no policy '{TOLD}' there, nor `{TOLD}`\"\n", []),
        (f'x = "s{HE}, {TOLD}_at, {HE}ro"\n', []),
        ('"""How it works."""\n', [(1, "How …")]),
        ('# A comment.\n\n"""Where it is."""\n', [(3, "Where …")]),
        ('"""However it works."""\n', []),
        ('"""A room."""\n\n\ndef f():\n    """What it is."""\n', []),
    ],
)
def test_a_python_file_is_searched_in_its_prose(source: str, found: list[tuple[int, str]]) -> None:
    assert python_words(source) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"# A room\n\nSo {HE} was {TOLD}.\n", [(3, HE), (3, TOLD)]),
        (f"It stays {ON_TWO_LINES}.\n\n```\n{HE} = 1\n```\n{HE}\n", [(1, EVER), (7, HE)]),
        (f"The field `{TOLD}` stays.\n", []),
        ("How a heading may begin\n", []),
    ],
)
def test_a_text_is_searched_outside_its_code(text: str, found: list[tuple[int, str]]) -> None:
    assert text_words(text) == found


def test_a_place_is_named_relative_to_the_repository(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/rooms.md").write_text(f"What {HE} saw.\n")
    (tmp_path / "LICENSE").write_text(f"As {TOLD}.\n")

    assert [(one.path, one.line, one.word) for one in refused(tmp_path)] == [
        ("docs/rooms.md", 1, HE)
    ]
