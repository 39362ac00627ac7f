"""Reads plans of experiments from files."""

from pathlib import Path

import yaml

from models.arrays.document import read_yaml
from models.domain.errors import UserError, reason_for
from models.experiments.plan.experiment import Experiment, Unit
from models.experiments.plan.plan import Plan
from models.experiments.plan.plan_edit import PlanDraft


class PlanFileError(UserError):
    """A file without a valid plan, or without the requested experiment."""


def read_draft(path: Path) -> PlanDraft:
    """Read a draft of a plan, by shares or exact buckets, in YAML or JSON.

    Raises:
        PlanFileError: If it cannot be read, or is no plan.
    """
    try:
        return PlanDraft.model_validate(read_yaml(path.read_bytes()))
    except (OSError, yaml.YAMLError, ValueError) as exc:
        raise _refused(path, exc) from exc


def read_plan(path: Path) -> Plan:
    """Read a plan, with buckets allocated as for a new plan.

    Raises:
        PlanFileError: If it cannot be read, or is refused as a whole.
    """
    draft = read_draft(path)
    try:
        return draft.to_plan(Plan())
    except ValueError as exc:
        raise _refused(path, exc) from exc


def find(plan: Plan, name: str) -> tuple[Experiment, Unit]:
    """Return an experiment of a plan and the assignment unit of its layer.

    Raises:
        PlanFileError: If the plan has none of that name.
    """
    found = next((one for one in plan.experiments if one.name == name), None)
    if found is None:
        known = ", ".join(one.name for one in plan.experiments) or "none"
        msg = f"the plan has no experiment {name!r}; it has {known}"
        raise PlanFileError(msg)
    # A valid plan has the layer of each of its experiments.
    unit = next(layer.unit for layer in plan.layers if layer.name == found.layer)
    return found, unit


def _refused(path: Path, exc: Exception) -> PlanFileError:
    return PlanFileError(f"{path} holds no plan of experiments: {reason_for(exc)}")
