"""Structure of the product code in figures: folders, modules, functions, names, language.

``python -m deploy.structure [--json FILE] [--root DIR]`` prints a table with a column for each of
app, models and training and writes the same, with places, as JSON. It changes and refuses nothing.

How it counts:

- Lines are all lines of a file; code lines hold more than a comment, a docstring or nothing.
- A folder's files are the modules in it, not in folders below it, ``__init__.py`` not counted.
- A function's lines run from ``def`` to its end, docstring included. Its parameters are all but
  ``self`` and ``cls``.
- A private function is one whose name begins with a single underscore, method or not. Its callers
  are the references to its name, as a name or an attribute, in its own module and outside its own
  body: private names are not imported. Its share is of all functions of the package.
- Comments that only steer a checker (``noqa``, ``pyright:``) are not counted.
- A name is repeated if a package has it more than once; ``__init__.py`` is not counted.
"""

import argparse
import ast
import io
import json
import re
import sys
import tokenize
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

from deploy.language import Place, refused

ROOT: Final = Path(__file__).parents[1]
PACKAGES: Final = ("app", "models", "training")
MAX_LINES: Final = 50
MAX_PARAMETERS: Final = 7

_STEERING: Final = re.compile(r"#\s*(?:noqa|pyright:|type:)")
_NO_CODE: Final = frozenset(
    {
        *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE),
        *(tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER),
    }
)

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One Python file, counted.

    Attributes:
        path: Relative to the repository.
        n_lines: All lines.
        n_code: Lines of code.
        n_comments: Comments.
        n_functions: Functions and methods.
        classes: Names of its classes.
        long: Functions of more than `MAX_LINES` lines.
        wide: Functions of more than `MAX_PARAMETERS` parameters.
        called_once: Private functions with one caller.
    """

    path: Path
    n_lines: int
    n_code: int
    n_comments: int
    n_functions: int
    classes: tuple[str, ...]
    long: tuple[str, ...]
    wide: tuple[str, ...]
    called_once: tuple[str, ...]


@dataclass(frozen=True)
class Structure:
    """Figures of one package, or of all.

    Attributes:
        files: Modules, ``__init__.py`` not counted.
        files_per_folder_median: Over folders that have any.
        files_per_folder_max: Of the fullest folder.
        fullest_folder: Which that is.
        lines: All lines.
        code_lines: Lines of code.
        module_lines_median: Lines of a module, over `files`.
        module_lines_max: Of the largest.
        largest_module: Which that is.
        functions: Functions and methods.
        functions_over_50_lines: Number of them.
        private_called_once: Number of private functions with one caller.
        private_called_once_share: Of all functions, in percent.
        comments_per_100_lines: Of all lines.
        repeated_classes: Number of class names that a package has more than once.
        repeated_files: The same of file names.
        functions_over_7_parameters: Number of them.
        places: Where, by figure.
    """

    files: int
    files_per_folder_median: float
    files_per_folder_max: int
    fullest_folder: str
    lines: int
    code_lines: int
    module_lines_median: float
    module_lines_max: int
    largest_module: str
    functions: int
    functions_over_50_lines: int
    private_called_once: int
    private_called_once_share: float
    comments_per_100_lines: float
    repeated_classes: int
    repeated_files: int
    functions_over_7_parameters: int
    places: dict[str, list[str]] = field(repr=False)


def count(path: Path, source: str) -> Module:
    """Count one file.

    Args:
        path: Relative to the repository.
        source: Its text.

    Raises:
        SyntaxError: If it is no Python.
    """
    tree = ast.parse(source)
    tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    functions = sorted(
        (node for node in ast.walk(tree) if isinstance(node, Function)),
        key=lambda function: function.lineno,
    )
    return Module(
        path=path,
        n_lines=len(source.splitlines()),
        n_code=len(_code_lines(tree, tokens)),
        n_comments=sum(
            token.type == tokenize.COMMENT and _STEERING.match(token.string) is None
            for token in tokens
        ),
        n_functions=len(functions),
        classes=tuple(node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)),
        long=tuple(_named(path, one) for one in functions if _n_lines(one) > MAX_LINES),
        wide=tuple(_named(path, one) for one in functions if _n_parameters(one) > MAX_PARAMETERS),
        called_once=tuple(_named(path, one) for one in _called_once(tree, functions)),
    )


def structure(modules: Sequence[Module]) -> Structure:
    """Put the figures of some modules together.

    Args:
        modules: At least one of them other than an ``__init__.py``.
    """
    named = [module for module in modules if module.path.name != "__init__.py"]
    folders = Counter(str(module.path.parent) for module in named)
    fullest = max(folders, key=lambda folder: folders[folder])
    largest = max(named, key=lambda module: module.n_lines)
    n_lines = sum(one.n_lines for one in modules)
    n_functions = sum(one.n_functions for one in modules)
    places = _places(modules)
    return Structure(
        files=len(named),
        files_per_folder_median=median(folders.values()),
        files_per_folder_max=folders[fullest],
        fullest_folder=fullest,
        lines=n_lines,
        code_lines=sum(one.n_code for one in modules),
        module_lines_median=median(one.n_lines for one in named),
        module_lines_max=largest.n_lines,
        largest_module=str(largest.path),
        functions=n_functions,
        functions_over_50_lines=len(places["functions_over_50_lines"]),
        private_called_once=len(places["private_called_once"]),
        private_called_once_share=_per_100(len(places["private_called_once"]), n_functions),
        comments_per_100_lines=_per_100(sum(one.n_comments for one in modules), n_lines),
        repeated_classes=len(places["repeated_classes"]),
        repeated_files=len(places["repeated_files"]),
        functions_over_7_parameters=len(places["functions_over_7_parameters"]),
        places=places,
    )


def measure(root: Path) -> dict[str, Structure]:
    """Return the figures of each package of a repository, and of all under ``product``."""
    modules = {
        name: [
            count(path.relative_to(root), path.read_text(encoding="utf-8"))
            for path in sorted((root / name).rglob("*.py"))
        ]
        for name in PACKAGES
    }
    figures = {name: structure(of_package) for name, of_package in modules.items()}
    return figures | {"product": structure([one for each in modules.values() for one in each])}


def table(figures: dict[str, Structure], places: Sequence[Place]) -> str:
    """Return the figures as text: a line each, a column for each package."""
    columns = [asdict(one) for one in figures.values()]
    lines = [f"{'':28}" + "".join(f"{name:>32}" for name in figures)]
    lines += (
        f"{name:28}" + "".join(f"{column[name]!s:>32}" for column in columns)
        for name in columns[0]
        if name != "places"
    )
    words = ", ".join(f"{word} {n}" for word, n in Counter(p.word for p in places).most_common())
    lines.append(f"refused words in the whole repository: {len(places)}: {words}")
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> None:
    """Print the figures, and write them if a file is named."""
    parser = argparse.ArgumentParser(prog="python -m deploy.structure", description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures and their places there")
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository; default: this one")
    given = parser.parse_args(arguments)
    figures, places = measure(given.root), refused(given.root)
    print(table(figures, places))
    if given.json is not None:
        document = {name: asdict(one) for name, one in figures.items()}
        words = {"number": len(places), "places": [asdict(place) for place in places]}
        text = json.dumps(document | {"refused_words": words}, indent=1)
        given.json.write_text(text + "\n", encoding="utf-8")


def _places(modules: Sequence[Module]) -> dict[str, list[str]]:
    files = ((one.path.name, one.path) for one in modules if one.path.name != "__init__.py")
    return {
        "functions_over_50_lines": [place for one in modules for place in one.long],
        "functions_over_7_parameters": [place for one in modules for place in one.wide],
        "private_called_once": [place for one in modules for place in one.called_once],
        "repeated_classes": _repeated((name, one.path) for one in modules for name in one.classes),
        "repeated_files": _repeated(files),
    }


def _code_lines(tree: ast.Module, tokens: Iterable[tokenize.TokenInfo]) -> set[int]:
    held = {
        line
        for token in tokens
        if token.type not in _NO_CODE
        for line in range(token.start[0], token.end[0] + 1)
    }
    return held - {line for node in _docstrings(tree) for line in _lines(node)}


def _docstrings(tree: ast.Module) -> Iterator[ast.Expr]:
    """Yield strings that stand alone: docstrings, and those below constants and attributes."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            yield node


def _lines(node: ast.stmt) -> range:
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)


def _n_lines(function: Function) -> int:
    return len(_lines(function))


def _n_parameters(function: Function) -> int:
    given = function.args
    named = [*given.posonlyargs, *given.args, *given.kwonlyargs]
    rest = [one for one in (given.vararg, given.kwarg) if one is not None]
    return sum(one.arg not in {"self", "cls"} for one in [*named, *rest])


def _called_once(tree: ast.Module, functions: Sequence[Function]) -> list[Function]:
    uses: defaultdict[str, list[int]] = defaultdict(list)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            uses[node.id].append(node.lineno)
        elif isinstance(node, ast.Attribute):
            uses[node.attr].append(node.lineno)
    return [
        one
        for one in functions
        if _is_private(one.name) and sum(line not in _lines(one) for line in uses[one.name]) == 1
    ]


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def _named(path: Path, function: Function) -> str:
    return f"{path}:{function.lineno} {function.name}"


def _repeated(names: Iterable[tuple[str, Path]]) -> list[str]:
    """Return the names that one package has more than once, with the files."""
    places: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for name, path in names:
        places[path.parts[0], name].append(str(path))
    return sorted(f"{name}: {', '.join(at)}" for (_, name), at in places.items() if len(at) > 1)


def _per_100(part: int, whole: int) -> float:
    return round(100.0 * part / whole, 2) if whole else 0.0


if __name__ == "__main__":
    main(sys.argv[1:])
