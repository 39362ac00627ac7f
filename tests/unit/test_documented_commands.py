"""Commands of the documentation: each exists, with the options that are shown."""

import re
import shlex
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from app.__main__ import commands as service_commands
from tests.proofs import ROOT
from training.__main__ import app as training_commands

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PROGRAMS = {"app": get_command(service_commands), "training": get_command(training_commands)}
BLOCK = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
COMMAND = re.compile(r"python -m (app|training)\b((?:(?!python -m)[^\n|&;<>`])*)")
TARGET = re.compile(r"^([a-z-]+):", re.MULTILINE)
TARGETS = {*TARGET.findall((ROOT / "Makefile").read_text(encoding="utf-8"))}


def code_of(page: Path) -> list[str]:
    """Blocks of code with their lines joined, and code within lines."""
    text = page.read_text(encoding="utf-8")
    blocks = [block.replace("\\\n", " ") for block in BLOCK.findall(text)]
    return [*blocks, *INLINE.findall(BLOCK.sub("", text))]


def commands_of(page: Path) -> list[tuple[str, list[str]]]:
    """Program and words of each command; comments are left out."""
    return [
        (program, shlex.split(rest.replace("…", ""), comments=True))
        for code in code_of(page)
        for program, rest in COMMAND.findall(code)
    ]


def unknown(program: str, words: list[str]) -> list[str]:
    """What the program does not have: a command, or an option of one."""
    command = PROGRAMS[program]
    while isinstance(command, TyperGroup) and words and not words[0].startswith("-"):
        name, *words = words
        if name not in command.commands:
            return [name]
        command = command.commands[name]
    known = {text for one in command.params for text in (*one.opts, *one.secondary_opts)}
    given = {word.split("=")[0] for word in words if re.fullmatch(r"--[a-z][a-z-]*(=.*)?", word)}
    return sorted(given - known - {"--help"})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_command_that_is_shown_exists(page: Path) -> None:
    wrong = {
        f"python -m {program} {' '.join(words)}": missing
        for program, words in commands_of(page)
        if (missing := unknown(program, words))
    }

    assert wrong == {}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_target_that_is_shown_exists(page: Path) -> None:
    shown = {
        name
        for code in code_of(page)
        for name in re.findall(r"^make(?: [A-Z]+=\S+)* ([a-z-]+)", code, re.MULTILINE)
    }

    assert shown <= TARGETS


def test_most_commands_of_the_documentation_are_found() -> None:
    """By the eye there are more than a hundred."""
    assert sum(len(commands_of(page)) for page in PAGES) > 100


@pytest.mark.parametrize(
    ("line", "missing"),
    [
        ("nothing --data DIR", ["nothing"]),
        ("train --data DIR --nothing=3", ["--nothing"]),
        ("train --data DIR --until 2026-01-01", []),
        ("bundles nothing", ["nothing"]),
    ],
)
def test_what_does_not_exist_is_found(line: str, missing: list[str]) -> None:
    assert unknown("training", line.split()) == missing
