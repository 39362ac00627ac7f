"""Results of the checks of ``python -m app doctor``."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class Verdict(StrEnum):
    """Severity of a finding."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of one check: its subject, what was seen, and what to do."""

    subject: str
    verdict: Verdict
    seen: str
    advice: str = ""

    @classmethod
    def checked(
        cls,
        subject: str,
        seen: str,
        *,
        is_ok: bool,
        advice: str,
        otherwise: Verdict = Verdict.WARNING,
    ) -> Self:
        """Return the finding of a check that has two outcomes."""
        return cls(subject, Verdict.OK, seen) if is_ok else cls(subject, otherwise, seen, advice)
