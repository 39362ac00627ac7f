"""Outages of what background tasks depend on, logged once when one begins and once at its end."""

from dataclasses import dataclass, field
from enum import StrEnum

from app.observability import Metrics, get_logger

_log = get_logger(__name__)


class Dependency(StrEnum):
    """What a background task can lose for a while."""

    STORE = "store"
    DISK = "disk"


@dataclass(slots=True)
class Outages:
    """The outages of a worker, shared by its background tasks.

    Attributes:
        metrics: Count each round that an outage ended.
    """

    metrics: Metrics
    _by_task: dict[str, Dependency] = field(default_factory=dict[str, Dependency])

    def begin(self, task: str, lost: Dependency, *, reason: str) -> None:
        """Record that a task could not reach something; the first task to do so is logged."""
        self.metrics.task_outages.labels(task, lost).inc()
        if lost not in self._by_task.values():
            _log.warning(
                f"lost the {lost}; it is tried again all the time", task=task, reason=reason
            )
        self._by_task[task] = lost

    def end(self, task: str) -> None:
        """Record that a task reached everything; the last task to do so is logged."""
        back = self._by_task.pop(task, None)
        if back is not None and back not in self._by_task.values():
            _log.info(f"the {back} answers again", task=task)

    def of(self, lost: Dependency) -> tuple[str, ...]:
        """Return the names of the tasks that cannot reach something now."""
        return tuple(task for task, one in self._by_task.items() if one is lost)
