"""Model of a large shop: machines, memory of the store, hours of the night, and their cost.

Question: what a shop of 18 million customers needs, from figures that were measured on two cores.

Method: arithmetic where figures add up; simulation where chance decides: how many customers are in
the store, whose entries expire 400 days after their last event, and how long a night takes on
machines of which some are slow and some are lost. Nothing of it was run at that size.

``python -m benchmarks.scale > docs/scale.md``; options change the shop, see ``--help``.
"""

import heapq
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import numpy as np
import typer
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Measured:
    """A measured figure.

    Attributes:
        value: The figure.
        unit: Its unit.
        source: Page, commit or date.
    """

    value: float
    unit: str
    source: str


ANSWERS: Final = Measured(
    1_112, "answers a second and core, 300 sales", "[performance](performance.md), 57dc69e3"
)
WORKER: Final = Measured(104, "MB a worker", "[performance](performance.md), 2026-11-30")
PARENT: Final = Measured(173, "MB a machine besides", "[performance](performance.md), 2026-11-30")
CUSTOMER: Final = Measured(
    706, "bytes of a customer with ten events and a profile", "[store](store.md), be4c5a0"
)
SHOWN: Final = Measured(553, "bytes of 30 recent impressions", "[store](store.md), b18b2a9")
LIST: Final = Measured(356, "bytes of a list of 30 sales", "[lists](lists.md), 2026-11-30")
RECORD: Final = Measured(
    3_100, "bytes of the record of an answer, until it is exported", "[store](store.md), 2026-11-29"
)
PAIRS: Final = Measured(
    278_000, "pairs of customer and sale a second and core", "[lists](lists.md), 200,192 customers"
)
TRAINED: Final = Measured(
    5e6 / 765, "events a second of `train`, five million", "[training](training.md), ff0a37a"
)
ALL: Final = (ANSWERS, WORKER, PARENT, CUSTOMER, SHOWN, LIST, RECORD, PAIRS, TRAINED)

# Chosen: half of what a core can do, where latency was measured.
USE: Final = 0.5
CORES: Final = 16
SHARD_GB: Final = 32
SHAPE: Final = 0.3
"""Of the gamma distribution of how often customers come; assumed: most come seldom."""
N_NIGHTS: Final = 20
TTL_DAYS: Final = 400
EXPORT_S: Final = 600
OVERHEAD: Final = 1.3  # fragmentation and buffers of the store; assumed
SEED: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """A shop.

    Attributes:
        customers: Customers who ever came.
        visits: Visits a day.
        sales: Open sales of a market.
        peak: Answers a second at peak.
        events: Events a year that a night learns from.
        machines: Machines of the night, of 16 cores.
        part: Customers of a part of the night.
        core_hour: Price of a core for an hour.
        gb_hour: Price of a GB of the store for an hour.
    """

    customers: int = 18_000_000
    visits: int = 5_000_000
    sales: int = 300
    peak: float = 2_000.0
    events: int = 20_000_000
    machines: int = 4
    part: int = 20_000
    core_hour: float = 0.04
    gb_hour: float = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Luck:
    """Chances of a night.

    Attributes:
        spread: Standard deviation of the logarithm of a part's time.
        slow_share: Share of the cores that are slow.
        slow_by: How many times as long these take.
        lost_per_hour: Machines lost an hour, each until the end, with what it was computing.
    """

    spread: float = 0.1
    slow_share: float = 0.05
    slow_by: float = 3.0
    lost_per_hour: float = 0.1


NIGHTS: Final = {
    "all cores alike": Luck(spread=0.0, slow_share=0.0, lost_per_hour=0.0),
    "5% of the cores three times as slow": Luck(lost_per_hour=0.0),
    "also a machine lost every ten hours": Luck(),
    "also a machine lost every hour": Luck(lost_per_hour=1.0),
}


def stored_share(visits_a_customer_day: float, *, rng: np.random.Generator) -> float:
    """Simulate the share of all customers whose entries have not expired.

    Args:
        visits_a_customer_day: Mean over all customers.
        rng: Draws them.
    """
    rates = rng.gamma(SHAPE, visits_a_customer_day / SHAPE, size=200_000)
    last_visit_days = rng.exponential(1 / np.maximum(rates, 1e-12))
    return float(np.mean(last_visit_days < TTL_DAYS))


def makespan_h(
    seconds: NDArray[np.float64],
    *,
    machines: int,
    cores: int,
    luck: Luck,
    rng: np.random.Generator,
) -> float:
    """Simulate how long parts take on machines of which some are slow and some are lost.

    A part goes to the core that is free first. What a lost machine was computing goes back to the
    end of the queue; what it had finished is on disk.

    Args:
        seconds: Of each part on a usual core.
        machines: Machines.
        cores: Cores of each.
        luck: Chances.
        rng: Draws what happens.

    Returns:
        Hours until the last part is finished; infinite if all machines are lost.
    """
    pace = np.where(rng.random(machines * cores) < luck.slow_share, luck.slow_by, 1.0)
    ends = np.full(machines, math.inf)
    if luck.lost_per_hour:
        ends = rng.exponential(3_600 * machines / luck.lost_per_hour, size=machines)
    free = [(0.0, core) for core in range(machines * cores)]
    waiting = list(seconds * rng.lognormal(0.0, luck.spread, size=len(seconds)))
    running: list[tuple[float, float]] = []  # parts of lost machines: when they are missed
    last = 0.0
    while waiting or running:
        if not waiting:
            missed, part = heapq.heappop(running)
            waiting.append(part)
            free = [(max(at, missed), core) for at, core in free]
            heapq.heapify(free)
        if not free:
            return math.inf
        at, core = heapq.heappop(free)
        lost_at = ends[core // cores]
        if at >= lost_at:
            continue
        part = waiting.pop()
        done = at + part * pace[core]
        if done > lost_at:
            heapq.heappush(running, (lost_at, part))
            continue
        last = max(last, done)
        heapq.heappush(free, (done, core))
    return last / 3_600


def page(shop: Shop) -> str:
    """Write the model as a page in Markdown."""
    rng = np.random.default_rng(SEED)
    share = stored_share(shop.visits / shop.customers, rng=rng)
    stored = share * shop.customers
    by_part = {
        "customers, their latest events and profiles": stored * CUSTOMER.value / 1e9,
        "their recent impressions": stored * SHOWN.value / 1e9,
        "lists of the night": stored * LIST.value / 1e9,
        "records of answers between two exports, at peak": shop.peak
        * EXPORT_S
        * RECORD.value
        / 1e9,
    }
    store_gb = OVERHEAD * sum(by_part.values())
    shards = math.ceil(store_gb / SHARD_GB)
    machines = math.ceil(shop.peak / (ANSWERS.value * USE) / CORES) + 1
    core_hours = stored * shop.sales / PAIRS.value / 3_600
    train_h = shop.events / TRAINED.value / 3_600
    month_h = 24 * 30
    prices = {
        "service, all day": machines * CORES * month_h * shop.core_hour,
        "store, with replicas": shards * SHARD_GB * 2 * month_h * shop.gb_hour,
        "nights": (core_hours + train_h) * 30 * shop.core_hour,
    }
    often = shop.visits / shop.customers
    n_parts = math.ceil(stored / shop.part)
    sections = {
        "A large shop": [
            "This page is written by `python -m benchmarks.scale`, and a test compares them. "
            "Nothing of it was run at this size: each figure is computed from one measured on "
            "two cores.",
            f"The shop: {shop.customers:,} customers, {shop.sales} open sales, {shop.peak:,.0f} "
            f"answers a second at peak, {shop.visits:,} visits a day. Another shop: "
            "`python -m benchmarks.scale --help`.",
        ],
        "Measured": [
            _table(
                ("figure", "unit", "where and when"),
                ((f"{one.value:,.0f}", one.unit, one.source) for one in ALL),
            )
        ],
        "Service": [
            "At half of what a core can do, the peak takes "
            f"{shop.peak / (ANSWERS.value * USE):.1f} cores: {machines} machines of "
            f"{CORES} cores, one of them to spare. Each needs "
            f"{(PARENT.value + CORES * WORKER.value) / 1_000:.1f} GB for {CORES} workers."
        ],
        "Store": [
            f"Entries expire {TTL_DAYS} days after a customer's last event. Of customers who come "
            f"{often:.2f} times a day on average, and unequally (gamma of shape {SHAPE}), "
            f"{share:.0%} are in the store, by simulation.",
            _table(
                ("what", "GB"),
                [
                    *((name, f"{size:.1f}") for name, size in by_part.items()),
                    (
                        f"all, with {OVERHEAD - 1:.0%} for fragmentation (assumed)",
                        f"{store_gb:.1f}",
                    ),
                ],
            ),
            f"That is a cluster of {shards} shards of {SHARD_GB} GB, each with a replica, and "
            f"{shop.peak / shards:,.0f} reads a second and shard at peak.",
        ],
        "Night": [
            f"Lists of {stored:,.0f} customers are {stored * shop.sales:,.0f} pairs: "
            f"{core_hours:.0f} core hours, in {n_parts:,} parts of {shop.part:,} customers. On "
            f"{shop.machines} machines of {CORES} cores, {N_NIGHTS} simulated nights a line:",
            _table(
                ("what happens", "median, hours", "longest, hours"), _nights(shop, n_parts, rng)
            ),
            "A lost part is computed again, and finished parts stay "
            "([lists](lists.md#interrupted-runs)).",
            f"Training on {shop.events:,} events takes {train_h:.1f} hours of one core, by five "
            "million; workers may take the features, about a quarter of it. Twenty million were "
            "not tried.",
        ],
        "Cost": [
            f"At {shop.core_hour} an hour and core, and {shop.gb_hour} an hour and GB of the "
            "store, both assumed:",
            _table(
                ("what", "a month"), ((name, f"{price:,.0f}") for name, price in prices.items())
            ),
        ],
        "Not in this model": [
            "Posted events, exports, `load-lists` of so many customers, networks and load "
            "balancers: what they take was not measured at a size from which it could be computed."
        ],
    }
    heads = ["#", *["##"] * (len(sections) - 1)]
    parts = [
        "\n\n".join([f"{head} {title}", *texts])
        for head, (title, texts) in zip(heads, sections.items(), strict=True)
    ]
    return "\n\n".join(parts) + "\n"


def _nights(shop: Shop, n_parts: int, rng: np.random.Generator) -> Iterable[tuple[str, str, str]]:
    seconds = np.full(n_parts, shop.part * shop.sales / PAIRS.value)
    for name, luck in NIGHTS.items():
        hours = [
            makespan_h(seconds, machines=shop.machines, cores=CORES, luck=luck, rng=rng)
            for _ in range(N_NIGHTS)
        ]
        yield name, f"{np.median(hours):.2f}", f"{max(hours):.2f}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def main(
    customers: Annotated[int, typer.Option(min=1)] = Shop().customers,
    visits: Annotated[int, typer.Option(min=1, help="A day.")] = Shop().visits,
    sales: Annotated[int, typer.Option(min=1, help="Open in a market.")] = Shop().sales,
    peak: Annotated[float, typer.Option(min=0.1, help="Answers a second.")] = Shop().peak,
    events: Annotated[int, typer.Option(min=1, help="A night learns from.")] = Shop().events,
    machines: Annotated[int, typer.Option(min=1, help="Of the night.")] = Shop().machines,
    core_hour: Annotated[float, typer.Option(min=0.0, help="Price.")] = Shop().core_hour,
    gb_hour: Annotated[float, typer.Option(min=0.0, help="Price.")] = Shop().gb_hour,
) -> None:
    """Print the model of a shop as Markdown."""
    shop = Shop(
        customers=customers,
        visits=visits,
        sales=sales,
        peak=peak,
        events=events,
        machines=machines,
        core_hour=core_hour,
        gb_hour=gb_hour,
    )
    typer.echo(page(shop), nl=False)


if __name__ == "__main__":
    typer.run(main)
