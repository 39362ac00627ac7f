"""Closed loop: a simulated shop whose lists are ordered by bundles that learn from these lists."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.dataset.reading import read_dataset
from models.domain.event import from_us
from models.domain.units import SECOND_US
from models.slate.slate_policy import SlatePolicy, usual_exploration
from training.configuration import RunConfig, TrainingOptions
from training.console import Progress
from training.pipeline.prepare import DataOptions, prepare
from training.pipeline.train import train
from training.pipeline.training_data import cut
from training.simulator.creation import create_world, redraw_world
from training.simulator.files import event_frame
from training.simulator.logging_policy import LoggedSlates
from training.simulator.parameters import DAY_US, Parameters
from training.simulator.period import Period
from training.simulator.simulation import Asked, Served, Shop
from training.statistics.metrics import calibration_line
from training.studies.loop_service import LoopService, Ranked

_FOLDERS: Final = ("images", "scenes", "sales.parquet", "customers.parquet")
_WEEK: Final = 7


@dataclass(frozen=True, kw_only=True)
class Loop:
    """Settings of a closed loop.

    Attributes:
        parameters: The world. Its lists of the first days are ordered by popularity.
        n_customers: Customers.
        days: Days before the first night.
        nights: Nights; the lists of the day after each are ordered by its bundle.
        explored_share: Share of lists that are drawn, see `usual_exploration`.
        end: End of the last day, midnight (UTC).
        seed: Of world, customers and trainings.
        threads: Threads of trainings.
    """

    parameters: Parameters
    n_customers: int
    days: int
    nights: int
    explored_share: float
    end: datetime
    seed: int
    threads: int = 1


@dataclass(frozen=True, slots=True)
class LoopFigures:
    """Figures of one day, or means of several.

    Attributes:
        n_visits: Visits.
        shown: Expected purchases@10 of a visit by what was shown, exploration included.
        popularity_log: The same by a bundle that learned from as many days of lists by popularity.
        ratio: The first over the second.
        slope: Of the log-odds of the truth over those predicted, all open sales at position 1.
        predicted_over_true: Sum of predictions over the sum of the true probabilities, the same.
        examined_last: P(examined) at the last position, as the bundle estimates it.
    """

    n_visits: int
    shown: float
    popularity_log: float
    ratio: float
    slope: float
    predicted_over_true: float
    examined_last: float


@dataclass(frozen=True, eq=False)
class Day:
    """One day of the loop, as it is judged.

    Attributes:
        shown: Expected purchases@10 of each visit, shape ``(n_visits,)``.
        popularity_log: The same by the other bundle, same shape.
        predicted: P(purchase | examined) of all open sales at all visits, shape ``(n,)``.
        truth: The same in truth.
        examined_last: See `LoopFigures`.
    """

    shown: NDArray[np.float64]
    popularity_log: NDArray[np.float64]
    predicted: NDArray[np.float64]
    truth: NDArray[np.float64]
    examined_last: float


def figures_of(days: list[Day]) -> LoopFigures:
    """Summarise some days, at least one."""
    predicted, truth = (
        np.concatenate(part) for part in ([d.predicted for d in days], [d.truth for d in days])
    )
    shown = np.concatenate([day.shown for day in days])
    other = np.concatenate([day.popularity_log for day in days])
    slope, _ = calibration_line(predicted, truth, weights=np.ones(len(truth)))
    return LoopFigures(
        n_visits=len(shown),
        shown=float(shown.mean()),
        popularity_log=float(other.mean()),
        ratio=float(shown.sum() / other.sum()),
        slope=slope,
        predicted_over_true=float(predicted.sum() / truth.sum()),
        examined_last=days[-1].examined_last,
    )


def weeks_of(days: list[Day]) -> list[LoopFigures]:
    """Summarise each week; the last may be shorter."""
    return [figures_of(days[start : start + _WEEK]) for start in range(0, len(days), _WEEK)]


def run_loop(loop: Loop, folder: Path, *, progress: Progress) -> Iterator[Day]:
    """Simulate days by popularity, then nights and days by the bundles of these nights.

    Args:
        loop: Settings.
        folder: Empty or absent; datasets, bundles and picture features are written below.
        progress: Receives the stages.

    Yields:
        Each day after a night.

    Raises:
        TooFewPurchasesError: If the first days hold too few purchases.
    """
    parameters = replace(loop.parameters, uniform_share=0.0)
    end_us = round(loop.end.timestamp()) * SECOND_US
    period = Period.ending(end_us, loop.days + loop.nights)
    by_popularity, own = folder / "popularity", folder / "own"
    n_customers, seed = loop.n_customers, loop.seed
    progress.stage("world")
    create_world(by_popularity, parameters, period=period, n_customers=n_customers, seed=seed)
    # The same customers, who react by other chance: two logs of one world.
    world = redraw_world(
        by_popularity, parameters, period=period, n_customers=n_customers, seed=seed
    )
    run = Shop(world, np.random.default_rng(seed))
    own.mkdir()
    for name in _FOLDERS:
        (own / name).symlink_to((by_popularity / name).resolve())
    dataset = read_dataset(by_popularity, strict=True)
    for number, day_us in enumerate(period.days_us()[: loop.days + loop.nights]):
        if number < loop.days:
            run.run_day(day_us)
            continue
        # Of a purchase the quantity is drawn anew each night; nothing here depends on it.
        rng = np.random.default_rng(seed)
        log = event_frame(run.world, run.history(), until_us=day_us, rng=rng)
        log.write_parquet(own / "events.parquet")
        bundles = [
            trained(data, loop, until_us=day_us, folder=folder, progress=progress)
            for data in (own, by_popularity)
        ]
        progress.stage("visits")
        known = cut(dataset, day_us + DAY_US)
        services = [LoopService.open(one, run, known, cache=folder / "cache") for one in bundles]
        yield served_by(services[0], services[1], day_us=day_us, explored_share=loop.explored_share)


def trained(data: Path, loop: Loop, *, until_us: int, folder: Path, progress: Progress) -> Path:
    """Train on a dataset as it was at a moment, and return the bundle."""
    options = TrainingOptions(config=RunConfig(), seed=loop.seed, threads=loop.threads)
    source = DataOptions(directory=data, cache=folder / "cache", until=from_us(until_us))
    prepared = prepare(source, options, progress=progress)
    return train(prepared, options, root=folder / f"bundles-{data.name}", progress=progress)


def served_by(own: LoopService, other: LoopService, *, day_us: int, explored_share: float) -> Day:
    """Run a day whose lists are the first service's, and judge both by the truth."""
    policy = SlatePolicy(exploration=usual_exploration(explored_share))
    run, ranked, compared = own.run, list[Ranked](), list[Ranked]()

    def order(asked: Asked) -> LoggedSlates:
        compared.append(other.rank(asked, SlatePolicy()))
        ranked.append(own.rank(asked, policy))
        return ranked[-1].slates

    served = run.run_day(day_us, order)
    return Day(
        shown=np.concatenate([_worth(run, one, one.slates) for one in served]),
        popularity_log=np.concatenate(
            [_worth(run, one, two.slates) for one, two in zip(served, compared, strict=True)]
        ),
        predicted=np.concatenate(
            [two.probabilities[one.asked.eligible] for one, two in zip(served, ranked, strict=True)]
        ),
        truth=np.concatenate([one.truth[one.asked.eligible] for one in served], dtype=np.float64),
        examined_last=float(own.scorer.ranker.position_effect.common[-1]),
    )


def _worth(run: Shop, served: Served, slates: LoggedSlates) -> NDArray[np.float64]:
    """Return the expected purchases of slates at the visits of others, shape ``(n_visits,)``."""
    gains = np.take_along_axis(served.truth, slates.column, axis=1)
    examined = run.examined(served.asked.sales[slates.column])
    return (examined * gains * (slates.column >= 0)).sum(axis=1)
