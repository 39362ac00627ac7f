"""Closed loop: a simulated shop whose lists are ordered by bundles that learn from these lists."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.arrays.parquet import read_parquet
from models.domain.event import from_us
from models.domain.units import SECOND_US
from models.slate.slate_policy import SlatePolicy, usual_exploration
from training.console import Progress
from training.ranker.fit_ranker import TooFewPurchasesError
from training.simulator.creation import create_world, redraw_world
from training.simulator.files import answer_names, customer_names, event_frame, sale_names
from training.simulator.logging_policy import LoggedSlates
from training.simulator.parameters import DAY_US, Parameters
from training.simulator.period import Period
from training.simulator.simulation import KINDS, PURCHASE, Asked, Served, Shop
from training.studies.loop_figures import Day
from training.studies.loop_nights import LoopNight, LoopNights, recorded
from training.studies.loop_service import LoopService, Moment, Ranked

_PICTURES: Final = ("images", "scenes")
# As of `training.examples.outcomes.objective_for`: with fewer, a shop would learn clicks.
_MIN_PURCHASES: Final = 20
_MORE: Final = "simulate more --customers or --days, or a higher --buy-intercept"


@dataclass(frozen=True, kw_only=True)
class Loop:
    """Settings of a closed loop.

    Attributes:
        parameters: The world. Its lists of the first days are ordered by popularity.
        n_customers: Customers.
        days: Days before the first night.
        nights: Nights; the lists of the day after each are ordered by its bundle.
        train_every: Nights from one training to the next; in between recommenders are refitted.
        pictures_from: The first night whose data have pictures, from 1.
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
    train_every: int = 1
    pictures_from: int = 1
    threads: int = 1

    def trains(self, night: int) -> bool:
        """Whether a night, from 1, trains; else it refits."""
        return (night - 1) % self.train_every == 0 or night == self.pictures_from


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
    source, n_customers, seed = folder / "world", loop.n_customers, loop.seed
    progress.stage("world")
    create_world(source, parameters, period=period, n_customers=n_customers, seed=seed)
    # The same customers, who react by other chance: two logs of one world.
    world = redraw_world(source, parameters, period=period, n_customers=n_customers, seed=seed)
    run = Shop(world, np.random.default_rng(seed))
    by_popularity = read_parquet(source / "events.parquet")
    own, other = (
        LoopNights(
            data=folder / name / "data",
            folder=folder / name,
            cache=folder / "cache",
            seed=seed,
            threads=loop.threads,
            is_gated=name == "own",
        )
        for name in ("own", "popularity")
    )
    days_us = period.days_us()[: loop.days + loop.nights]
    for day_us in days_us[: loop.days]:
        run.run_day(day_us)
    for number, day_us in enumerate(days_us[loop.days :], start=1):
        # Of a purchase the quantity is drawn anew each night; nothing here depends on it.
        rng = np.random.default_rng(seed)
        log = event_frame(run.world, run.log(), uniform=run.uniform, until_us=day_us, rng=rng)
        compared = by_popularity.filter(pl.col("received_at") <= from_us(day_us))
        for nights, events in ((own, log), (other, compared)):
            _require_purchases(events, loop)
            _write_data(source, nights.data, events, has_pictures=number >= loop.pictures_from)
        try:
            found = _night(loop, number, day_us, own=own, other=other, progress=progress)
        except TooFewPurchasesError as exc:
            msg = f"night {number}: {exc}. Of a simulated shop: {_MORE}"
            raise TooFewPurchasesError(msg) from exc
        progress.stage("visits")
        yield _day_after(loop, run, day_us, own=own, found=found)


def _require_purchases(events: pl.DataFrame, loop: Loop) -> None:
    n_purchases = int((events["type"] == PURCHASE).sum())
    if n_purchases < _MIN_PURCHASES:
        msg = (
            f"{n_purchases} purchases in the first {loop.days} days, at least {_MIN_PURCHASES} are "
            f"needed to learn and compare purchases: {_MORE}"
        )
        raise TooFewPurchasesError(msg)


def _night(
    loop: Loop,
    number: int,
    day_us: int,
    *,
    own: LoopNights,
    other: LoopNights,
    progress: Progress,
) -> list[LoopNight]:
    """Return the nights of the loop and of the log by popularity."""
    if not loop.trains(number):
        return [own.refit(day_us), other.refit(day_us)]
    night = own.train(day_us, progress=progress)
    if night.awaiting is None:
        return [night, other.train(day_us, progress=progress)]
    # Its new ranker serves from the next night on, as that of the loop can: a day of waiting is the
    # price of the gate, and none of the lists that it learned from.
    before = other.refit(day_us)
    other.train(day_us, progress=progress)
    return [night, before]


def _day_after(
    loop: Loop,
    run: Shop,
    day_us: int,
    *,
    own: LoopNights,
    found: list[LoopNight],
) -> Day:
    """Run the day after a night, record its answers, and promote what customers prefer."""
    known = own.known_until(day_us + DAY_US)
    night, awaiting = found[0], found[0].awaiting
    services = [LoopService.open(one.bundle, run, known) for one in found]
    if awaiting is not None:
        services.append(LoopService.open(awaiting, run, known))
    policy = SlatePolicy(exploration=usual_exploration(loop.explored_share))
    day, answers = served_by(services, run, day_us=day_us, policy=policy, night=night)
    own.answers.append(answers)
    if awaiting is not None and day.promotes:
        own.promote(awaiting)
    return day


def _write_data(source: Path, data: Path, events: pl.DataFrame, *, has_pictures: bool) -> None:
    """Write a dataset as it is known on a night; what the world wrote is linked."""
    data.mkdir(parents=True, exist_ok=True)
    events.write_parquet(data / "events.parquet")
    sales = read_parquet(source / "sales.parquet")
    (sales if has_pictures else sales.drop("image")).write_parquet(data / "sales.parquet")
    for name in ("customers.parquet", *(_PICTURES if has_pictures else ())):
        if not (data / name).exists():
            (data / name).symlink_to((source / name).resolve())


def served_by(
    services: list[LoopService], run: Shop, *, day_us: int, policy: SlatePolicy, night: LoopNight
) -> tuple[Day, pl.DataFrame]:
    """Run a day whose lists are the first service's, and judge all by the truth.

    Args:
        services: That of the loop, that of the log by popularity, and one that needs traffic or
            none.
        run: The shop.
        day_us: Midnight (UTC) that begins the day, microseconds.
        policy: Makes the lists of the first service; the others explore nothing.
        night: The night before.

    Returns:
        The day, and its answers as the service records them.
    """
    own, *others = services
    is_purchase = run.log().kind == KINDS.index(PURCHASE)
    ranked, compared = list[Ranked](), [list[LoggedSlates]() for _ in others]

    def order(asked: Asked) -> LoggedSlates:
        moment = Moment.of(run, asked)
        for service, slates in zip(others, compared, strict=True):
            slates.append(service.rank(moment, SlatePolicy()).certain)
        ranked.append(own.rank(moment, policy))
        return ranked[-1].slates

    served = run.run_day(day_us, order)
    own_lists = [one.slates for one in served], [one.certain for one in ranked]
    worth = [
        np.concatenate([_worth(run, one, two) for one, two in zip(served, slates, strict=True)])
        for slates in (*own_lists, *compared)
    ]
    eligible = [one.asked.eligible for one in served]
    day = Day(
        verdict=night.verdict,
        shown=worth[0],
        certain=worth[1],
        popularity_log=worth[2],
        awaiting=worth[3] if night.awaiting is not None else None,
        predicted=_chosen([one.probabilities for one in ranked], eligible),
        truth=_chosen([one.truth.astype(np.float64) for one in served], eligible),
        sales=np.concatenate(
            [one.asked.sales[np.nonzero(one.asked.eligible)[1]] for one in served]
        ),
        n_purchases=int(is_purchase.sum()),
        n_calibrating=night.n_calibrating,
        examined_last=float(own.scorer.ranker.position_effect.common[-1]),
    )
    answers = recorded(
        own.bundle_id,
        pl.concat([_answers(run, one) for one in served]),
        exploration=policy.exploration and policy.exploration.model_dump_json(),
        limit=run.world.parameters.slate_size,
    )
    return day, answers


def _chosen(
    values: list[NDArray[np.float64]], eligible: list[NDArray[np.bool_]]
) -> NDArray[np.float64]:
    return np.concatenate([one[mask] for one, mask in zip(values, eligible, strict=True)])


def _answers(run: Shop, served: Served) -> pl.DataFrame:
    visit, slates = served.asked.visit, served.slates
    sales = sale_names(len(run.world.sales)).gather(served.asked.sales).to_list()
    lists = [
        [
            {"sale_id": sales[column], "rank": rank, "propensity": propensity, "rules": list[str]()}
            for rank, (column, propensity) in enumerate(zip(columns, chances, strict=True), start=1)
            if column >= 0
        ]
        for columns, chances in zip(slates.column.tolist(), slates.propensity.tolist(), strict=True)
    ]
    return pl.DataFrame(
        {
            "recommendation_id": answer_names(visit),
            "customer_id": customer_names(run.world.visits.customer[visit]),
            "now": pl.Series(run.world.visits.at_us[visit]).cast(pl.Datetime("us", "UTC")),
            "slate": lists,
        }
    )


def _worth(run: Shop, served: Served, slates: LoggedSlates) -> NDArray[np.float64]:
    """Return the expected purchases of slates at the visits of others, shape ``(n_visits,)``."""
    gains = np.take_along_axis(served.truth, slates.column, axis=1)
    examined = run.examined(served.asked.sales[slates.column])
    return (examined * gains * (slates.column >= 0)).sum(axis=1)
