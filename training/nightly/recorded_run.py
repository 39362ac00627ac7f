"""Recorded nightly run: how each run ended is kept beside the bundles, where services read it."""

from collections.abc import Sequence
from datetime import UTC, datetime

from pydantic import BaseModel, Field

from models.domain.errors import UserError
from models.scoring.model_card import Figure
from models.scoring.night_record import (
    MAX_REASON_CHARS,
    MAX_REASONS,
    NightRecord,
    NightVerdict,
    add_night,
)
from training.console import Progress
from training.nightly.night import Night, NightOutcome
from training.nightly.run import run_night
from training.nightly.stage_cache import BusyError


class _Judged(BaseModel):
    """What a record keeps of a night's report."""

    judged_from: datetime = Field(validation_alias="from")
    judged_until: datetime = Field(validation_alias="until")
    differences: dict[str, Figure]


def run_recorded(night: Night, *, progress: Progress) -> NightOutcome:
    """Run a night, and add its record to those beside the bundles, also if it fails.

    A killed run leaves no record, and neither does one that found another one at work.

    Raises:
        NightsError: If the records there cannot be read.
        UserError: As `run_night`.
    """
    started = datetime.now(UTC)
    try:
        outcome = run_night(night, progress=progress)
    except BusyError:
        raise
    except UserError as exc:
        failed = NightRecord(
            started_at=started,
            ended_at=datetime.now(UTC),
            verdict=NightVerdict.FAILED,
            reasons=_bounded([str(exc)]),
        )
        add_night(night.bundles, failed)
        raise
    add_night(night.bundles, _record_of(outcome, started))
    return outcome


def _record_of(outcome: NightOutcome, started: datetime) -> NightRecord:
    record = NightRecord(
        started_at=started,
        ended_at=datetime.now(UTC),
        verdict=outcome.verdict,
        reasons=_bounded(outcome.reasons),
        candidate=outcome.candidate,
        champion=outcome.champion,
        published=outcome.published,
        awaiting=outcome.awaiting,
    )
    if outcome.report is None:
        return record
    judged = _Judged.model_validate_json(outcome.report.read_bytes())
    return record.model_copy(update=dict(judged))


def _bounded(reasons: Sequence[str]) -> list[str]:
    most = MAX_REASON_CHARS
    return [one if len(one) <= most else one[: most - 1] + "…" for one in reasons[:MAX_REASONS]]
