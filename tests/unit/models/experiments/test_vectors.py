"""The vectors of the documentation, by which other languages check their hash."""

import re

from models.experiments.bucket import bucket
from tests.proofs import ROOT

ROW = re.compile(r"^\| `([^`]*)` \| `([^`]*)` \| (\d+) \|$", re.MULTILINE)


def test_the_vectors_of_the_documentation_are_those_of_the_hash() -> None:
    text = (ROOT / "docs/experiments.md").read_text(encoding="utf-8")

    vectors = [(salt, unit, int(number)) for salt, unit, number in ROW.findall(text)]

    assert len(vectors) == 10
    assert [bucket(unit, salt) for salt, unit, _ in vectors] == [number for *_, number in vectors]
    assert any(not unit.isascii() for _, unit, _ in vectors)
