"""The plan of experiments in a file: of the settings, and as a machine remembers it."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from app.stores.plan import StoredPlan
from models.arrays.atomic_file import write_file
from models.experiments.plan.plan import Plan
from models.experiments.plan.plan_file import read_plan

_VERSION = TypeAdapter(int)


def first_plan(path: Path | None) -> StoredPlan:
    """Return the plan of the settings: what applies until one is put into the store.

    Raises:
        PlanFileError: If the file cannot be read, or holds no plan.
    """
    return StoredPlan(0, read_plan(path) if path else Plan())


@dataclass(frozen=True, slots=True)
class PlanFile:
    """Remembers the last plan of the store, for a start while the store is away. Methods block.

    Attributes:
        path: The file; its directory is made when something is kept.
    """

    path: Path

    def keep(self, stored: StoredPlan) -> None:
        """Remember a plan.

        Raises:
            OSError: If the file cannot be written.
        """
        write_file(self.path, b"%d\n" % stored.version + stored.plan.to_json())

    def last(self) -> StoredPlan | None:
        """Return the plan kept last; None before the first, or where it is none any more."""
        try:
            version, _, content = self.path.read_bytes().partition(b"\n")
            return StoredPlan(_VERSION.validate_json(version), Plan.model_validate_json(content))
        except (OSError, ValidationError):
            return None
