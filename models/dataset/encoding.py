"""Encodings of text files, and how bytes that are not in the expected one read in others."""

import re
import unicodedata
from itertools import pairwise
from typing import Final, Literal, get_args

Encoding = Literal[
    "utf-8",
    "cp1250",
    "cp1251",
    "cp1252",
    "cp1253",
    "cp1254",
    "cp1257",
    "iso-8859-1",
    "iso-8859-15",
]
"""UTF-8, code pages of Windows and Latin-1 and -9; all extend ASCII."""

_N_WORDS: Final = 50  # of a row that are tried; chosen
_SHOWN_CHARS: Final = 24  # of a word that is shown in several encodings; chosen: a long word


def escaped(text: str) -> str:
    """Return a text with its undecodable bytes escaped: a lone surrogate is no valid JSON."""
    return text.encode(errors="surrogateescape").decode(errors="backslashreplace")


def readings(content: bytes) -> str:
    """Say how bytes read in each encoding in which they can be words, and what to do.

    Of bytes alone no code page is certain: a reader sees which one makes their words.

    Args:
        content: Bytes of a row; its word that most encodings read differently is shown.
    """
    words = [one for one in re.findall(rb"[A-Za-z\x80-\xff]+", content) if not one.isascii()]
    found = max(map(_readings, words[:_N_WORDS]), key=len, default=dict[str, list[str]]())
    if not found:
        return "save the file as UTF-8"
    listed = "; ".join(f"{text!r} by {', '.join(names)}" for text, names in found.items())
    return (
        "save the file as UTF-8, or give the encoding in which its words read right (`csv:"
        f" {{encoding: …}}` of the mapping of an import): {listed}"
    )


def _readings(word: bytes) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for encoding in get_args(Encoding):
        try:
            text = word.decode(encoding)[:_SHOWN_CHARS]
        except UnicodeDecodeError:
            continue
        if _can_be_words(text):
            found.setdefault(text, []).append(encoding)
    return found


def _can_be_words(text: str) -> bool:
    """Return whether no letter follows one of another script, no capital a small letter."""
    letters = ((left, right) for left, right in pairwise(text) if (left + right).isalpha())
    return text.isprintable() and all(
        _script(left) == _script(right) and not (left.islower() and right.isupper())
        for left, right in letters
    )


def _script(letter: str) -> str:
    return unicodedata.name(letter).split()[0]
