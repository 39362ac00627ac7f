"""Night records: what nightly runs decided, in one file beside the bundles that they published."""

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from models.arrays.atomic_file import write_file
from models.domain.errors import UserError
from models.scoring.model_card import Figure

NIGHTS_FILE: Final = "nights.json"
# Chosen: three months, within which an experiment on a bundle ends.
MAX_NIGHTS: Final = 100
MAX_NIGHTS_BYTES: Final = 4 * 1024 * 1024
MAX_REASONS: Final = 10
MAX_REASON_CHARS: Final = 1_000

_Reason = Annotated[str, StringConstraints(max_length=MAX_REASON_CHARS)]


class NightVerdict(StrEnum):
    """Verdict of a nightly run."""

    PUBLISHED = "published"
    REJECTED = "rejected"
    NEEDS_TRAFFIC = "needs_traffic"
    NOTHING_NEW = "nothing_new"
    FAILED = "failed"


class NightsError(UserError):
    """Records of nights that cannot be read."""


class NightRecord(BaseModel):
    """Record of a nightly run that ended."""

    model_config = ConfigDict(frozen=True)

    started_at: datetime
    ended_at: datetime
    verdict: NightVerdict = Field(
        description="`published`: the candidate. `needs_traffic`: the champion, refitted, and the "
        "candidate awaits a promotion. `rejected`, `nothing_new`: none, unless `published` names "
        "one. `failed`: the run ended with an error."
    )
    reasons: list[_Reason] = Field(
        max_length=MAX_REASONS, description="Why, a sentence each; of a failed run its error."
    )
    candidate: str | None = Field(
        default=None, description="The bundle that was trained and judged; null without one."
    )
    champion: str | None = Field(
        default=None, description="The bundle that it was compared with; null without one."
    )
    published: str | None = Field(
        default=None, description="The bundle that was published; null if none was."
    )
    awaiting: str | None = Field(
        default=None, description="The bundle that awaits a promotion; null if none does."
    )
    judged_from: datetime | None = Field(
        default=None, description="Start of the data that judged; null if nothing was judged."
    )
    judged_until: datetime | None = Field(default=None, description="Its end.")
    differences: dict[str, Figure] = Field(
        default_factory=dict[str, Figure],
        description="Candidate less champion by measure, with its 95% interval over customers.",
    )


class NightRecords(BaseModel):
    """The last nights, the latest first."""

    items: list[NightRecord] = Field(max_length=MAX_NIGHTS)

    @classmethod
    def parse(cls, content: bytes, *, name: str) -> Self:
        """Read the records of a file.

        Args:
            content: The file's content.
            name: Where it is from, for messages.

        Raises:
            NightsError: If they are none.
        """
        try:
            return cls.model_validate_json(content)
        except ValidationError as exc:
            msg = f"{name} holds no records of nights: remove it; the next night begins it anew"
            raise NightsError(msg) from exc

    @classmethod
    def read(cls, bundles: Path) -> Self:
        """Read the records beside bundles; there are none before the first night.

        Raises:
            NightsError: If the file cannot be read, or is no such file.
        """
        path = bundles / NIGHTS_FILE
        try:
            with path.open("rb") as file:
                content = file.read(MAX_NIGHTS_BYTES + 1)
        except FileNotFoundError:
            return cls(items=[])
        except OSError as exc:
            msg = f"{path} cannot be read: {exc.strerror}"
            raise NightsError(msg) from exc
        if len(content) > MAX_NIGHTS_BYTES:
            msg = f"{path} is larger than {MAX_NIGHTS_BYTES} bytes"
            raise NightsError(msg)
        return cls.parse(content, name=str(path))


def add_night(bundles: Path, record: NightRecord) -> None:
    """Put a record before those of earlier nights, of which the last hundred stay.

    Raises:
        NightsError: If the records there cannot be read.
        OSError: If they cannot be written.
    """
    items = [record, *NightRecords.read(bundles).items][:MAX_NIGHTS]
    write_file(bundles / NIGHTS_FILE, NightRecords(items=items).model_dump_json().encode())
