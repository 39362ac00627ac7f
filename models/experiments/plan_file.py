"""Reads a plan of experiments from a file."""

from pathlib import Path

import yaml
from pydantic import ValidationError

from models.experiments.experiment import Experiment, Unit
from models.experiments.plan import Plan


class PlanFileError(ValueError):
    """A file that holds no plan, or not the experiment that is asked for."""


def read_plan(path: Path) -> Plan:
    """Read a plan, written in YAML or JSON.

    Raises:
        PlanFileError: If it cannot be read, or is refused as a whole.
    """
    try:
        return Plan.model_validate(yaml.safe_load(path.read_bytes()))
    except (OSError, yaml.YAMLError, ValidationError, UnicodeDecodeError) as exc:
        msg = f"{path} holds no plan of experiments: {exc}"
        raise PlanFileError(msg) from exc


def find(plan: Plan, name: str) -> tuple[Experiment, Unit]:
    """Return an experiment of a plan and what its layer deals.

    Raises:
        PlanFileError: If the plan has none of that name.
    """
    found = next((one for one in plan.experiments if one.name == name), None)
    if found is None:
        known = ", ".join(one.name for one in plan.experiments) or "none"
        msg = f"the plan has no experiment {name!r}; it has {known}"
        raise PlanFileError(msg)
    unit = next(layer.unit for layer in plan.layers if layer.name == found.layer)
    return found, unit
