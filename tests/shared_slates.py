"""Simulated customers before slates of one bundle or of two: an independent judge of interleaving.

Each customer comes once. A place is examined with a chance that falls with its rank, an examined
sale is clicked by its appeal, and a clicked one bought by its worth. A bundle orders by a noisy
guess of what the customer would buy: the better its quality, the less noise. Two bundles share
part of their noise, as models of one family do. Nothing here is the product's, but the team draft.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.dataset.events import EventTable
from models.domain.event import to_us
from models.experiments.plan.bucketing import resized
from models.experiments.plan.experiment import INTERLEAVED, Experiment
from models.promotion.rule import CanaryRules, InterleavingRules
from models.slate.exploration import seed_from, uniforms
from models.slate.interleaving import NO_TEAM, team_draft
from tests.trials import DAY_US, START, event_columns, seen_once

N_SALES: Final = 30
SHOWN: Final = 10
MINUTE_US: Final = 60_000_000

_EXAMINED: Final = 0.82 ** np.arange(SHOWN)
_CLICK_AT, _BUY_AT = -3.6, -4.9
"""Log-odds of an average sale: a quarter of all visits has a click, and 1% a purchase."""

SERVING, CANDIDATE = "serving", "candidate"


@dataclass(frozen=True)
class Pair:
    """Two bundles by the correlation of their guesses with the truth, and of their noises."""

    serving: float
    candidate: float
    shared_noise: float = 0.7


class Customers:
    """Customers who come once, what they like, and what both bundles would show them."""

    def __init__(self, n: int, pair: Pair, rng: np.random.Generator) -> None:
        self.n = n
        self.rng = rng
        shape = n, N_SALES
        appeal, own = rng.standard_normal(shape), rng.standard_normal(shape)
        worth = 0.7 * appeal + np.sqrt(1 - 0.7**2) * own
        self._click: NDArray[np.float64] = 1 / (1 + np.exp(-(_CLICK_AT + appeal)))
        self._buy: NDArray[np.float64] = 1 / (1 + np.exp(-(_BUY_AT + worth)))
        truth = (appeal + worth) / np.sqrt(2 + 2 * 0.7)
        common = rng.standard_normal(shape)
        self.by_serving, self.by_candidate = (
            self._ranked(truth, quality, common, shared=pair.shared_noise)
            for quality in (pair.serving, pair.candidate)
        )

    def _ranked(
        self,
        truth: NDArray[np.float64],
        quality: float,
        common: NDArray[np.float64],
        *,
        shared: float,
    ) -> NDArray[np.intp]:
        own = self.rng.standard_normal(truth.shape)
        noise = np.sqrt(shared) * common + np.sqrt(1 - shared) * own
        guess = quality * truth + np.sqrt(1 - quality**2) * noise
        return np.argsort(-guess, axis=1)[:, :SHOWN]

    def conversion(self, slates: NDArray[np.intp]) -> float:
        """The mean chance that a customer buys anything of a slate."""
        rows = np.arange(self.n)[:, None]
        bought = _EXAMINED * self._click[rows, slates] * self._buy[rows, slates]
        none: NDArray[np.float64] = np.prod(1 - bought, axis=1)
        return float(np.mean(1 - none))

    def browse(self, slates: NDArray[np.intp]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Draw who clicks and buys at which place, both of shape ``(n, SHOWN)``."""
        rows = np.arange(self.n)[:, None]
        draws = self.rng.random((2, self.n, SHOWN))
        clicked = draws[0] < _EXAMINED * self._click[rows, slates]
        return clicked, clicked & (draws[1] < self._buy[rows, slates])


def true_lift(pair: Pair, rng: np.random.Generator, *, n: int = 100_000) -> float:
    """The lift of the conversion, for customers who would see either slate."""
    customers = Customers(n, pair, rng)
    own, other = map(customers.conversion, (customers.by_candidate, customers.by_serving))
    return own / other - 1


@dataclass(frozen=True)
class Log:
    """What an export holds of an experiment."""

    experiment: Experiment
    exposures: pl.DataFrame
    events: EventTable
    first: NDArray[np.int64]

    @property
    def until(self) -> datetime:
        """When the last window is over."""
        assert self.experiment.ends_at is not None
        return self.experiment.ends_at

    def came_until(self, moment: datetime) -> int:
        """How many customers had come a day, which is the window, before a moment."""
        return int((self.first + to_us(START) + DAY_US <= to_us(moment)).sum())


def interleaved(customers: Customers, *, days: int, salt: str = "salt") -> Log:
    """Let customers see slates of both bundles, over some days."""
    ids, first = _arrivals(customers, days, salt=salt)
    slates = np.empty((customers.n, SHOWN), dtype=np.intp)
    teams = np.empty((customers.n, SHOWN), dtype=np.int8)
    for row, answer in enumerate(ids):
        draft = team_draft(
            customers.by_serving[row],
            customers.by_candidate[row],
            limit=SHOWN,
            drawn=uniforms(seed_from(f"x-{answer}"), SHOWN),
        )
        slates[row], teams[row] = draft.slate.picks, draft.teams
    clicked, bought = customers.browse(slates)
    teams_of = [{"name": CANDIDATE}, {"name": SERVING}]
    experiment = _experiment(
        days,
        kind="interleaving",
        control=SERVING,
        variants=teams_of,
        results=InterleavingRules().results,
    )
    assignment = pl.struct(
        pl.lit(experiment.name).alias("experiment"),
        pl.lit(INTERLEAVED).alias("variant"),
        pl.lit(10_000).alias("share_bp"),
        pl.lit(value=False).alias("is_forced"),
        pl.col("customer_id").alias("unit_id"),
    )
    names = pl.Series(teams.ravel()).replace_strict(
        {NO_TEAM: None, 0: SERVING, 1: CANDIDATE}, return_dtype=pl.String
    )
    sales = pl.Series(slates.ravel()).cast(pl.String)
    frame = pl.DataFrame(
        {
            "recommendation_id": [f"x-{one}" for one in ids],
            "customer_id": ids,
            "now": pl.Series(first + to_us(START)).cast(pl.Datetime("us", "UTC")),
            "sales": sales.reshape((customers.n, SHOWN)).arr.to_list(),
            "teams": names.reshape((customers.n, SHOWN)).arr.to_list(),
        }
    ).select(
        "recommendation_id",
        "customer_id",
        "now",
        pl.lit(SHOWN).alias("limit"),
        pl.lit(None, pl.String).alias("degraded"),
        pl.col("sales").list.eval(pl.struct(pl.element().alias("sale_id"))).alias("slate"),
        pl.concat_list(assignment).alias("assignments"),
        pl.struct(pl.lit(experiment.name).alias("experiment"), "teams").alias("interleaving"),
    )
    return Log(experiment, frame, _events(ids, first, slates, clicked, bought), first)


def by_shares(customers: Customers, *, days: int, salt: str = "salt") -> Log:
    """Let half of the customers see each bundle's own slates, as a canary does."""
    ids, first = _arrivals(customers, days, salt=salt)
    treated = customers.rng.random(customers.n) < 0.5
    slates = np.where(treated[:, None], customers.by_candidate, customers.by_serving)
    clicked, bought = customers.browse(slates)
    control, treatment = resized([(), ()], [5_000, 5_000])
    experiment = _experiment(
        days,
        control="control",
        variants=[
            {"name": "control", "buckets": control},
            {"name": "treatment", "buckets": treatment},
        ],
        results=CanaryRules().results,
    )
    exposures = seen_once(experiment, ids, treated=treated, first=first)
    return Log(experiment, exposures, _events(ids, first, slates, clicked, bought), first)


def _arrivals(customers: Customers, days: int, *, salt: str) -> tuple[list[str], NDArray[np.int64]]:
    first = np.sort(customers.rng.integers(0, days * DAY_US, size=customers.n))
    return [f"{salt}-{number}" for number in range(customers.n)], first


def _events(
    ids: list[str],
    first: NDArray[np.int64],
    slates: NDArray[np.intp],
    clicked: NDArray[np.bool_],
    bought: NDArray[np.bool_],
) -> EventTable:
    who: list[NDArray[np.intp]] = []
    what: list[NDArray[np.intp]] = []
    kinds: list[str] = []
    for kind, did in (("click", clicked), ("purchase", bought)):
        rows, ranks = np.nonzero(did)
        who.append(rows)
        what.append(slates[rows, ranks])
        kinds += [kind] * len(rows)
    rows: NDArray[np.intp] = np.concatenate(who)
    return event_columns(
        [ids[int(row)] for row in rows],
        at=first[rows] + MINUTE_US,
        type=kinds,
        sale_id=[str(sale) for sale in np.concatenate(what).tolist()],
        exposure_id=[f"x-{ids[int(row)]}" for row in rows],
        revenue=np.ones(len(rows)),
    )


def _experiment(days: int, **fields: object) -> Experiment:
    shared = {
        "name": "trial",
        "layer": "layer",
        "salt": "salt",
        "starts_at": START,
        # A day more, in which the last window ends.
        "ends_at": START + timedelta(days=days + 1),
    }
    return Experiment.model_validate({**shared, **fields})
