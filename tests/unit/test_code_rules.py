"""Rules of review that no linter knows, read from the syntax tree of every module."""

import ast
import io
import re
import tokenize
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.proofs import ROOT

PACKAGES = ("app", "models", "training")
MODULES = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
EVERY_FILE = sorted([*MODULES, *(ROOT / "tests").rglob("*.py")])

MAX_LINES = 400
MAX_FUNCTION_LINES = 40
N_POSITIONAL = 2
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "misc", "data", "info"}
SUPPRESSION = re.compile(r"#\s*(?:noqa|type:\s*ignore|pyright:\s*ignore)")
RULE_AND_REASON = re.compile(
    r"#\s*(?:noqa:\s*[A-Z]+\d+(?:,\s*[A-Z]+\d+)*|pyright:\s*ignore\[\w+(?:,\s*\w+)*\])\W+\w+"
)


def findings(paths: list[Path], rule: Callable[[str], list[str]]) -> dict[str, list[str]]:
    """What a rule finds in each file that it finds anything in."""
    found = {str(path.relative_to(ROOT)): rule(path.read_text(encoding="utf-8")) for path in paths}
    return {name: lines for name, lines in found.items() if lines}


def functions(source: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def positional_excess(source: str) -> list[str]:
    """Public functions that take a third argument, or a switch, without its name.

    Commands and routes are decorated, or annotate their arguments with options: typer and FastAPI
    call them by name.
    """
    found: list[str] = []
    for function in functions(source):
        if function.name.startswith("_") or function.decorator_list:
            continue
        arguments = [a for a in function.args.args if a.arg not in {"self", "cls"}]
        if any("Annotated[" in ast.unparse(a.annotation) for a in arguments if a.annotation):
            continue
        switch = any(
            isinstance(a.annotation, ast.Name) and a.annotation.id == "bool" for a in arguments
        )
        if len(arguments) > N_POSITIONAL or switch:
            found.append(f"{function.name}, line {function.lineno}")
    return found


def long_functions(source: str) -> list[str]:
    """Functions of more lines than the limit, their docstring not counted."""
    found: list[str] = []
    for function in functions(source):
        first = (
            function.body[1]
            if ast.get_docstring(function) and len(function.body) > 1
            else function.body[0]
        )
        n_lines = (function.end_lineno or 0) - first.lineno + 1
        if n_lines > MAX_FUNCTION_LINES:
            found.append(f"{function.name}, line {function.lineno}: {n_lines} lines")
    return found


def bare_suppressions(source: str) -> list[str]:
    """Comments that silence a checker without naming its rule and the reason."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = (token for token in tokens if token.type == tokenize.COMMENT)
    return [
        f"line {token.start[0]}: {token.string}"
        for token in comments
        if SUPPRESSION.search(token.string) and not RULE_AND_REASON.search(token.string)
    ]


def test_arguments_from_the_third_on_and_switches_are_passed_by_name() -> None:
    assert findings(MODULES, positional_excess) == {}


def test_functions_stay_short() -> None:
    assert findings(MODULES, long_functions) == {}


def test_modules_stay_short() -> None:
    assert findings(MODULES, lambda source: source.splitlines()[MAX_LINES:]) == {}


def test_a_suppression_names_its_rule_and_reason() -> None:
    assert findings(EVERY_FILE, bare_suppressions) == {}


def test_a_name_says_what_the_module_holds() -> None:
    vague = [path for path in EVERY_FILE if VAGUE_NAMES & {path.stem, path.parent.name}]

    assert vague == []


@pytest.mark.parametrize(
    ("source", "n_found"),
    [
        ("def f(a, b): ...", 0),
        ("def f(a, b, *, c): ...", 0),
        ("def f(a, b, c): ...", 1),
        ("def f(a: bool): ...", 1),
        ("def _f(a, b, c): ...", 0),
        ("class A:\n    def f(self, a, b): ...", 0),
        ("@command\ndef f(a, b, c): ...", 0),
        ("def f(a: Annotated[str, Option()], b, c): ...", 0),
    ],
)
def test_the_rule_on_arguments_finds_what_it_should(source: str, n_found: int) -> None:
    assert len(positional_excess(source)) == n_found


@pytest.mark.parametrize(("n_lines", "n_found"), [(40, 0), (41, 1)])
def test_the_rule_on_length_counts_from_after_the_docstring(n_lines: int, n_found: int) -> None:
    source = 'def f():\n    """One.\n\n    Two.\n    """\n' + "    f()\n" * n_lines

    assert len(long_functions(source)) == n_found


@pytest.mark.parametrize(
    ("comment", "n_found"),
    [
        ("# noqa", 1),
        ("# noqa: S301", 1),
        ("# noqa: S301, S403 - read by the restricted reader", 0),
        ("# pyright: ignore[reportUnknownMemberType]", 1),
        ("# pyright: ignore[reportUnknownMemberType] - no types are shipped", 0),
        ("# type: ignore[attr] - reason", 1),
        ("# a suppression is not this", 0),
    ],
)
def test_the_rule_on_suppressions_finds_what_it_should(comment: str, n_found: int) -> None:
    assert len(bare_suppressions(f"x = 1  {comment}\n")) == n_found
