"""Results of commands, as a person reads them and as a program does."""

import json

import pytest

from app.cli.console import print_summary


def test_collections_are_printed_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    print_summary(
        {"n": 2, "none": [], "some": ["a", "b"], "by_id": {"x": "late"}, "not_one": {}},
        as_json=False,
    )

    assert capsys.readouterr().out.splitlines() == [
        *("n: 2", "none: none", "some: a, b", "by_id: x: late", "not_one: none")
    ]


def test_collections_stay_what_they_are_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    print_summary({"none": [], "by_id": {}}, as_json=True)

    assert json.loads(capsys.readouterr().out) == {"none": [], "by_id": {}}
