"""Workers' processes as `process_*` metrics, those of one service together."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from prometheus_client import ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

# A live worker has one; they are removed when it dies.
_LIVE: Final = re.compile(r"gauge_livesum_(\d+)\.db")

# Of these a sum would say nothing.
_LEAST: Final = frozenset({"process_start_time_seconds", "process_max_fds"})


def live_workers(shared_dir: str) -> list[int]:
    """Return the process ids of the workers that share their metrics in a directory."""
    found = (_LIVE.fullmatch(path.name) for path in Path(shared_dir).iterdir())
    return sorted(int(one[1]) for one in found if one)


class Processes(Collector):
    """Processor time, memory and open files of processes, summed; the earliest start.

    Memory that they share counts once for each.
    """

    def __init__(self, pids: Sequence[int]) -> None:
        """Take the processes; one that ends meanwhile does not count."""
        self._each = [ProcessCollector(pid=lambda pid=pid: pid, registry=None) for pid in pids]

    def collect(self) -> Iterable[Metric]:
        """Read the system's files on the processes."""
        totals: dict[str, Metric] = {}
        for process in self._each:
            for metric in process.collect():
                total = totals.setdefault(metric.name, metric)
                if total is metric:
                    continue
                [own], [value] = metric.samples, total.samples
                merge = min if own.name in _LEAST else sum
                total.samples = [value._replace(value=merge([value.value, own.value]))]
        return totals.values()
