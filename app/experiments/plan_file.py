"""Plan files: the plan of experiments of the settings, and a copy of the last one of the store."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from app.stores.plan import StoredPlan
from models.arrays.atomic_file import write_file
from models.experiments.plan.plan import Plan
from models.experiments.plan.plan_file import read_plan

_VERSION = TypeAdapter(int)


def first_plan(path: Path | None) -> StoredPlan:
    """Return the plan of the settings, which applies until one is put into the store.

    Raises:
        PlanFileError: If the file cannot be read, or holds no plan.
    """
    return StoredPlan(0, read_plan(path) if path else Plan())


@dataclass(frozen=True, slots=True)
class PlanFile:
    """Keeps the last plan of the store, for a start in an outage of the store. Methods block."""

    path: Path

    def keep(self, stored: StoredPlan) -> None:
        """Write a plan.

        Raises:
            OSError: If the file cannot be written.
        """
        write_file(self.path, b"%d\n" % stored.version + stored.plan.to_json())

    def last(self) -> StoredPlan | None:
        """Return the plan kept last; None before the first, or if the file is unreadable."""
        try:
            version, _, content = self.path.read_bytes().partition(b"\n")
            return StoredPlan(_VERSION.validate_json(version), Plan.model_validate_json(content))
        except (OSError, ValidationError):
            return None
