"""Nothing that opens anything lies in the repository."""

import re
import shutil
import subprocess
from typing import Final

import pytest

from app.security.key import new_key
from tests.proofs import ROOT

RULES: Final = {
    "private key": r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY",
    "key of this service": r"vitrine_[0-9a-f]{8}_[\w-]{43}",
    "key of a cloud": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bAIza[\w-]{35}\b",
    "token of a forge": r"\b(?:gh[pousr]_\w{36,}|github_pat_\w{40,}|glpat-[\w-]{20,})",
    "token of a service": (
        r"\b(?:xox[abprs]-[\w-]{10,}|sk_live_\w{16,}|sk-[A-Za-z0-9]{32,}|hf_\w{30,}"
        r"|pypi-[\w-]{50,})"
    ),
    "web token": r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}",
    "password in an address": r"\w+://[^\s:/@<>{}$\"']*:(?!PASSWORD)[^\s:/@<>{}$\"']{3,}@[\w.]",
    "assigned secret": (
        r"(?i)(?:password|passwd|secret|api_?key|token)[\"']?\s*[:=]\s*"
        r"[\"'][\w+/=.-]{16,}[\"']"
    ),
}

NOT_SECRET: Final = frozenset(
    {
        "redis://vitrine:secret@",
        "cluster://:secret@",
        "sentinel://:secret@",
        "sentinel://user:secret@",
    }
)
"""What looks like one and is not, word for word."""


def found(text: str) -> list[str]:
    """Return the rules that a text breaks, with what breaks them."""
    return [
        f"{name}: {match[0]}"
        for name, rule in RULES.items()
        for match in re.finditer(rule, text)
        if not match[0].startswith(tuple(NOT_SECRET))
    ]


def test_no_tracked_file_holds_a_secret() -> None:
    listed = subprocess.run(
        [shutil.which("git") or "git", "ls-files", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]

    broken = {
        str(path.relative_to(ROOT)): faults
        for path in paths
        if path.is_file() and (faults := found(path.read_text(encoding="utf-8", errors="ignore")))
    }
    assert len(paths) > 100
    assert broken == {}


@pytest.mark.parametrize(
    "parts",
    [
        ("-----BEGIN RSA ", "PRIVATE KEY-----"),
        ("AKIA", "ABCDEFGHIJKLMNOP"),
        ("ghp_", "a" * 36),
        ("redis://:", "hunter22@db.internal:6379"),
        ('password = "', 'correcthorsebattery"'),
        ("eyJ", "hbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkw.SflKxwRJSMeKKF2QT4"),
    ],
)
def test_each_kind_of_secret_is_found(parts: tuple[str, str]) -> None:
    """Written in two parts, or this file would break the rule itself."""
    assert found("before " + "".join(parts) + " after") != []


def test_a_key_of_this_service_is_found() -> None:
    assert found(f"export KEY={new_key()[1]}") != []
