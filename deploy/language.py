"""Refused words: prose of the repository is plain English, and customers are "they".

Prose is docstrings, comments and string literals of Python files, and the lines of all other text
files outside code blocks. Not prose, but names or data: string literals without a space, and single
words in quotes or backticks.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

WORDS: Final = (
    *("he", "his", "him"),
    *("nobody", "somebody", "whatever", "lest", "shall"),
    *("dealt", "told", "foretold"),
    r"for\s+ever",
)
"""Patterns of whole words, matched in any case."""

HEADS: Final = ("What", "Who", "How", "Where", "Whether")
"""A module's docstring begins with the name of a thing, not with a question word."""

FOLDERS: Final = ("app", "models", "training", "deploy", "benchmarks", "tests", "docs")
FILES: Final = (
    *("README.md", "CONTRIBUTING.md", "CHANGELOG.md"),
    *("Makefile", "Dockerfile", "pyproject.toml", ".ci/run"),
)
SUFFIXES: Final = frozenset({".py", ".md", ".lua", ".sh", ".yaml", ".yml"})
"""Of files in `FOLDERS`."""

_WORD: Final = re.compile(rf"\b(?:{'|'.join(WORDS)})\b", re.IGNORECASE)
_HEAD: Final = re.compile(rf'(?:\s|#.*)*r?"""\s*({"|".join(HEADS)})\b')
_QUOTED: Final = re.compile(r"""(['"`])[\w-]+\1""")
_FENCE: Final = re.compile(r"^\s*(?:```|~~~)")


@dataclass(frozen=True, order=True)
class Place:
    """A refused word where it stands.

    Attributes:
        path: File, relative to the repository.
        line: Line, from 1; of a string literal of several parts the line of the first.
        word: The word in lower case, or the module head.
    """

    path: str
    line: int
    word: str


def python_words(source: str) -> list[tuple[int, str]]:
    """Return line and word of every refused word and head of a Python file.

    Raises:
        SyntaxError: If it is no Python.
    """
    found: list[tuple[int, str]] = []
    head = _HEAD.match(source)
    if head is not None:
        found.append((1 + source.count("\n", 0, head.start(1)), f"{head[1]} …"))
    # To parse every file takes seconds, and few of them need it.
    if _WORD.search(source) is not None:
        found += (hit for line, text in _python_prose(source) for hit in _words(text, line))
    return sorted(found)


def text_words(text: str) -> list[tuple[int, str]]:
    """Return line and word of every refused word outside code blocks, fenced as in Markdown."""
    prose: list[str] = []
    is_code = False
    for line in text.splitlines():
        is_fence = _FENCE.match(line) is not None
        prose.append("" if is_code or is_fence else line)
        is_code ^= is_fence
    return list(_words("\n".join(prose), 1))


def refused(root: Path) -> list[Place]:
    """Return every refused word of a repository, ordered by place.

    Args:
        root: Its folder.
    """
    return sorted(
        Place(str(path.relative_to(root)), line, word)
        for path in sources(root)
        for line, word in _of_file(path)
    )


def sources(root: Path) -> list[Path]:
    """Return the files with prose of a repository, ordered by name."""
    below = (path for name in FOLDERS for path in (root / name).rglob("*"))
    texts = [path for path in below if path.suffix in SUFFIXES]
    return sorted([*texts, *(root / name for name in FILES if (root / name).exists())])


def _of_file(path: Path) -> list[tuple[int, str]]:
    text = path.read_text(encoding="utf-8")
    return python_words(text) if path.suffix == ".py" else text_words(text)


def _python_prose(source: str) -> Iterator[tuple[int, str]]:
    """Yield first line and text of string literals with a space, and of comments."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.lineno, node.value
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def _words(text: str, first_line: int) -> Iterator[tuple[int, str]]:
    prose = _QUOTED.sub(lambda quoted: " " * len(quoted[0]), text)
    for match in _WORD.finditer(prose):
        line = first_line + text.count("\n", 0, match.start())
        yield line, " ".join(match[0].lower().split())
