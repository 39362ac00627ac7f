"""Outages of store and disk, logged once at the beginning and once at the end."""

from dataclasses import dataclass, field
from enum import StrEnum

from app.observability import Metrics, get_logger

_log = get_logger(__name__)


class Dependency(StrEnum):
    """A dependency of background tasks that can have an outage."""

    STORE = "store"
    DISK = "disk"


@dataclass(slots=True)
class Outages:
    """Outages of a worker, shared by its background tasks."""

    metrics: Metrics
    _by_task: dict[str, Dependency] = field(default_factory=dict[str, Dependency])

    def begin(self, task: str, lost: Dependency, *, reason: str) -> None:
        """Record an outage of a task; the first task of an outage is logged."""
        self.metrics.health.task_outages.labels(task, lost).inc()
        if lost not in self._by_task.values():
            _log.warning(
                f"outage of the {lost}; retrying until it answers", task=task, reason=reason
            )
        self._by_task[task] = lost

    def end(self, task: str) -> None:
        """Record that a task has no outage; the last task of an outage is logged."""
        back = self._by_task.pop(task, None)
        if back is not None and back not in self._by_task.values():
            _log.info(f"the {back} answers again", task=task)
