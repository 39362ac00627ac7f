"""A past for the embedded server: its clock starts at another time, for a try on old data."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from models.domain.errors import UserError

# In the server's folder: whoever starts the server, starts it in this time.
_FILE: Final = "clock"
_FORM: Final = "@%Y-%m-%d %H:%M:%S"


class PastClockError(UserError):
    """A store whose clock cannot be set back."""


def set_back(folder: Path, moment: datetime) -> None:
    """Have the server of a folder start at a moment, each time that it starts.

    Args:
        folder: The folder of the embedded server, which does not run.
        moment: The time, with a zone.

    Raises:
        PastClockError: If libfaketime is not installed, or the folder was used in the present.
    """
    _ = _library()
    file = folder / _FILE
    if not file.exists() and (folder / "appendonlydir").exists():
        msg = (
            f"{folder} holds what a store kept in the present: choose another VITRINE_STATE_DIR for"
            " the past, and use it for `load` too"
        )
        raise PastClockError(msg)
    file.write_text(f"{moment.astimezone(UTC):{_FORM}}\n")


def require_present(folder: Path) -> None:
    """Refuse a folder whose server starts in the past.

    Raises:
        PastClockError: If its clock was set back.
    """
    file = folder / _FILE
    if file.exists():
        moment = datetime.strptime(file.read_text().strip(), _FORM).replace(tzinfo=UTC)
        msg = (
            f"{folder} lives in the past, from {moment:%Y-%m-%dT%H:%M:%S}: give `--as-of` for a"
            " try, or choose another VITRINE_STATE_DIR for the present"
        )
        raise PastClockError(msg)


def variables(folder: Path) -> Mapping[str, str] | None:
    """Return variables that start the server of a folder in its past; None in the present.

    Raises:
        PastClockError: If libfaketime is not installed.
    """
    file = folder / _FILE
    if not file.exists():
        return None
    return {
        "LD_PRELOAD": str(_library()),
        "FAKETIME": file.read_text().strip(),
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "TZ": "UTC",
    }


def _library() -> Path:
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not found:
        msg = "the clock is set back by libfaketime: install it (`apt-get install faketime`)"
        raise PastClockError(msg)
    return found[0]
