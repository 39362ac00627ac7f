"""Night: settings and outcome of a nightly run."""

from dataclasses import dataclass
from pathlib import Path

from models.scoring.night_record import NightVerdict
from training.configuration import RunConfig


@dataclass(frozen=True, kw_only=True)
class Night:
    """Settings of a nightly run.

    Attributes:
        data: The dataset.
        bundles: Where published bundles lie; the newest one serves.
        profiles: Where published profiles lie.
        state: Stage results of unfinished runs, candidates and reports.
        cache: Picture features and scene models.
        scenes: Labelled pictures; None for the dataset's own.
        champion: The bundle to compare with; None for the one that answers, see `Champion.find`.
        config: The run's configuration.
        evaluation_us: Length of the last part of the data, which candidates are evaluated on,
            microseconds.
        now_us: Now, which no event may be later than, microseconds since the epoch.
        max_fault_share: Share of rows left out above which the data are refused.
        seed: Seed of every random choice.
        threads: Threads of training.
        scheduler: Address of the Dask scheduler whose workers compute features; None for processes
            of this machine.
        processes: Number of these; None for the command alone, unless there is a scheduler.
        n_parts: Parts of the customers that workers take; None: by the size of the dataset.
    """

    data: Path
    bundles: Path
    profiles: Path
    state: Path
    cache: Path
    scenes: Path | None
    champion: Path | None
    config: RunConfig
    evaluation_us: int
    now_us: int
    max_fault_share: float
    seed: int
    threads: int = 1
    scheduler: str | None = None
    processes: int | None = None
    n_parts: int | None = None


@dataclass(frozen=True, kw_only=True)
class NightOutcome:
    """Outcome of a nightly run.

    Attributes:
        verdict: The verdict.
        reasons: Reasons for the verdict.
        candidate: Id of the bundle that was trained and judged, or of its equal that the champion
            was refitted from; None without one.
        published: Id of what was published, refitted: the candidate, or the champion while the
            candidate needs traffic; None without.
        champion: Id of the bundle that it was compared with; None without one.
        report: The kept report; None where nothing was judged.
        awaiting: Id of the refitted candidate that needs traffic, beside the published bundle, so
            that a promotion can start from it; None without.
        profiles: The published profiles; None where nothing was published.
        remarks: Remarks on whole files of the dataset.
    """

    verdict: NightVerdict
    reasons: tuple[str, ...]
    candidate: str | None = None
    published: str | None = None
    champion: str | None = None
    report: Path | None = None
    awaiting: str | None = None
    profiles: Path | None = None
    remarks: tuple[str, ...] = ()
