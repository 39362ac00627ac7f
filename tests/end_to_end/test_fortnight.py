"""Two weeks of an experiment over HTTP: results agree with the simulator's true lift."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import pytest
from scipy.stats import binom

from models.dataset import read_event_log
from models.dataset.events import EventTable
from models.domain.event import from_us, to_us
from models.experiments.analysis.interval import Interval
from models.experiments.analysis.results import Results, experiment_results
from models.experiments.exposure import read_exposures
from models.experiments.plan.plan_file import find, read_plan
from tests.clock import clock_library, clocked_store
from tests.end_to_end.in_process import run_here
from tests.end_to_end.service import http, serving
from tests.end_to_end.visitors import FIGURES, Caller, Shop, Visit, groups, tally, true_lift
from tests.plans import LAYER, terms
from tests.proofs import FULL_SCALE, Proof
from tests.worlds import END_US, TINY_SEED, again, train_bundle
from training.simulator.creation import create_world, redraw_world
from training.simulator.customers import draw_visits
from training.simulator.parameters import DAY_US, HOUR_US, WORLDS
from training.simulator.period import Period
from training.simulator.simulation import World

LIBRARY: Final = clock_library()
EXPERIMENT, CONTROL, OTHER = "order", "popularity", "meta"
N_WEEKS_DAYS: Final = 14

# In full: a shop of the demo's size with sales for two more weeks, which open until seven days
# after its period; visits a customer in two weeks; seeds; groups whose intervals are counted.
N_CUSTOMERS, HISTORY_DAYS, MORE_DAYS, SEED = 3_000, 30, 8, 11
N_VISITS, N_SEEDS, N_GROUPS = 1.0, 4, 12
N_VISITS_SMALL: Final = 1.0
SURE: Final = 0.001


@dataclass(frozen=True)
class Setting:
    """A shop on the eve of an experiment.

    Attributes:
        world: Its customers and what they like.
        data: Its dataset until then.
        bundle: The bundle to serve.
        start_us: When the experiment starts.
    """

    world: World
    data: Path
    bundle: Path
    start_us: int


@dataclass(frozen=True)
class Fortnight:
    """Result of two weeks.

    Attributes:
        visits: What visitors were shown, and what it was worth.
        report: What `experiment-report` printed.
        page: What it wrote.
        served: What the service says of the results.
        exposures: The exported answers.
        log: All events of the shop.
        plan: The file with the experiment.
    """

    visits: list[Visit]
    report: dict[str, Any]
    page: Path
    served: Results
    exposures: pl.DataFrame
    log: EventTable
    plan: Path


@pytest.fixture(scope="module")
def setting(
    tiny_bundle: tuple[Path, Path],
    picture_cache: Path,
    proof_share: float,
    tmp_path_factory: pytest.TempPathFactory,
) -> Setting:
    """Give the demo's shop in full, else the small one of all tests, a week before its end."""
    folder = tmp_path_factory.mktemp("eve")
    data = folder / "data"
    if proof_share < FULL_SCALE:
        bundle, whole = tiny_bundle
        start_us, world = END_US - 7 * DAY_US, again(whole, seed=TINY_SEED)
        _until(whole, data, world, end_us=start_us)
        return Setting(world, data, bundle, start_us)
    start_us = END_US - MORE_DAYS * DAY_US
    period = Period.ending(END_US, HISTORY_DAYS + MORE_DAYS)
    shop = (folder / "whole", WORLDS["standard"])
    create_world(*shop, period=period, n_customers=N_CUSTOMERS, seed=SEED)
    world = redraw_world(*shop, period=period, n_customers=N_CUSTOMERS, seed=SEED)
    _until(folder / "whole", data, world, end_us=start_us)
    bundle = train_bundle(data, folder / "bundles", cache=picture_cache)
    return Setting(world, data, bundle, start_us)


def _until(whole: Path, data: Path, world: World, *, end_us: int) -> None:
    """Write what the shop knew at a moment: events until then, and the sales it plans.

    Sell-outs to come are written beforehand, as no shop runs that could report them.
    """
    data.mkdir()
    for name in ("images", "scenes"):
        (data / name).symlink_to(whole / name)
    ends = pl.Series(world.sales.ends_us).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    sold_out = pl.when(ends < pl.col("closes_at")).then(ends)
    sales = pl.read_parquet(whole / "sales.parquet").with_columns(sold_out.alias("sold_out_at"))
    sales.write_parquet(data / "sales.parquet")
    events = pl.scan_parquet(whole / "events.parquet")
    known = events.filter(pl.col("received_at") <= from_us(end_us)).collect()
    known.write_parquet(data / "events.parquet")


def _two_weeks(folder: Path, setting: Setting, *, seed: int, n_visits: float) -> Fortnight:
    """Run the experiment between popularity and the meta-model, and read its results."""
    assert LIBRARY is not None
    start_us, end_us = setting.start_us, setting.start_us + N_WEEKS_DAYS * DAY_US
    times = {"starts_at": from_us(start_us).isoformat(), "ends_at": from_us(end_us).isoformat()}
    experiment = {**terms(), **times, "name": EXPERIMENT, "salt": f"{EXPERIMENT}-{seed}"}
    plan, out, log = folder / "plan.json", folder / "exports", folder / "log"
    plan.write_text(json.dumps({"layers": [LAYER], "experiments": [experiment]}))
    rng = np.random.default_rng(seed)
    parameters = replace(setting.world.parameters, visits=n_visits)
    visits = draw_visits(
        parameters, Period(start_us, end_us), customers=setting.world.customers, rng=rng
    )
    with clocked_store(LIBRARY, folder, at_us=start_us - HOUR_US) as store:
        variables = {
            "VITRINE_STATE_DIR": str(folder / "state"),
            "VITRINE_REDIS_URL": store.url,
            "VITRINE_PLAN": str(plan),
            "VITRINE_EXPORTS": str(out),
        }
        shop = ["--data", str(setting.data), "--bundle", str(setting.bundle)]
        loaded = run_here("app", "load", *shop, **variables)
        assert loaded.exit_code == 0, loaded.output
        with (
            serving(folder, "--bundle", str(setting.bundle), **variables) as service,
            closing(Caller(service)) as website,
        ):
            assert _is_unrouted(website), "it has not begun"
            visitors = Shop(setting.world, website, store, EXPERIMENT, (CONTROL, OTHER), rng)
            visitors.run(visits)
            store.advance(end_us + HOUR_US)
            assert _is_unrouted(website), "it is over"
            drained = run_here("app", "export-events", "--out", str(out), **variables)
            assert drained.exit_code == 0, drained.output
            answer = http.get(f"{service.url}/v1/experiments/{EXPERIMENT}/results", timeout=60)
            assert answer.status_code == 200, answer.text
            assert service.stop() == 0
    log.mkdir()
    parts = [pl.read_parquet(place / "events.parquet") for place in (setting.data, out)]
    pl.concat(parts, how="diagonal_relaxed").write_parquet(log / "events.parquet")
    report, page = _report(folder, plan=plan, log=log, out=out)
    events, _ = read_event_log(log)
    served, exposures = Results.model_validate_json(answer.content), read_exposures(out)
    # The service's own moment: on a clock of whole hours a window may end to the millisecond.
    known = exposures.select("recommendation_id", pl.col("now").dt.epoch("us"))
    now_us = dict(known.iter_rows())
    visits_done = [replace(visit, now_us=now_us[visit.answer_id]) for visit in visitors.done]
    return Fortnight(visits_done, report, page, served, exposures, events, plan)


def _is_unrouted(website: Caller) -> bool:
    asked = {"customer_id": "passer-by", "market": "fr"}
    return not website.ask("/v1/recommendations", **asked)["assignments"]


def _report(folder: Path, *, plan: Path, log: Path, out: Path) -> tuple[dict[str, Any], Path]:
    page = folder / "report.html"
    named = {"name": EXPERIMENT, "plan": plan, "data": log, "exposures": out, "out": page}
    options = [word for name, value in named.items() for word in (f"--{name}", str(value))]
    told = run_here("training", "experiment-report", *options, "--json")
    assert told.exit_code == 0, told.output
    return json.loads(told.stdout), page


def _lifts(results: Results) -> dict[str, Interval]:
    return {one.metric: one.lift for one in results.comparisons}


def _safe_lifts(results: Results) -> dict[str, Interval]:
    return {one.metric: one.safe_lift for one in results.comparisons}


def _holds(found: Interval, truth: float) -> bool:
    return (found.low is None or found.low <= truth) and (found.high is None or truth <= found.high)


def _truth(visits: list[Visit], results: Results) -> dict[str, float]:
    return true_lift(
        visits,
        control=CONTROL,
        other=OTHER,
        until_us=to_us(results.until),
        window_us=round(results.rules.window_hours * HOUR_US),
    )


def _by_group(two_weeks: Fortnight) -> Iterator[tuple[dict[str, Interval], dict[str, float]]]:
    """Read the experiment of every group of customers as if there were no others."""
    experiment, unit = find(read_plan(two_weeks.plan), EXPERIMENT)
    for visits in groups(two_weeks.visits, N_GROUPS):
        members = {f"c{visit.customer:07d}" for visit in visits}
        exposures = two_weeks.exposures.filter(pl.col("customer_id").is_in(members))
        results = experiment_results(experiment, exposures, unit=unit, events=two_weeks.log)
        yield _lifts(results), _truth(visits, results)


@pytest.mark.clock
@pytest.mark.prove
@pytest.mark.slow
@pytest.mark.skipif(LIBRARY is None, reason="no libfaketime")
def test_results_of_two_weeks_say_what_the_truth_says(
    tmp_path: Path, setting: Setting, proof: Proof
) -> None:
    """In full: 95% intervals contain the true lift of the same customers about 95% of the time."""
    is_full = proof.share == FULL_SCALE
    n_visits = N_VISITS if is_full else N_VISITS_SMALL
    runs: list[dict[str, object]] = []
    held: Counter[str] = Counter()
    n_found = 0
    for seed in range(N_SEEDS if is_full else 1):
        folder = tmp_path / str(seed)
        folder.mkdir()
        two_weeks = _two_weeks(folder, setting, seed=seed, n_visits=n_visits)
        results = Results.model_validate(two_weeks.report)
        truth = _truth(two_weeks.visits, results)

        _check_counts(two_weeks, results)
        # Of a hundredth only clicks are enough for an interval that can be relied on.
        for metric in FIGURES if is_full else ["clicks_per_answer"]:
            interval = _safe_lifts(results)[metric] if is_full else _lifts(results)[metric]
            assert _holds(interval, truth[metric]), (metric, results, truth)
        n_found += not _holds(_lifts(results)["purchases"], 0.0)
        if is_full:
            held.update(
                metric
                for lifts, own in _by_group(two_weeks)
                for metric in FIGURES
                if _holds(lifts[metric], own[metric])
            )
            runs.append(_figures(two_weeks, results, truth))

    if is_full:
        n = N_SEEDS * N_GROUPS
        proof.record("fortnight", {"runs": runs, "groups": n, "intervals_that_hold": dict(held)})
        assert min(held[metric] for metric in FIGURES) >= _fewest(n), (held, runs)
        assert n_found >= N_SEEDS - 1, runs


def _fewest(n: int) -> int:
    """Return how many of so many 95% intervals hold at least, but for one time in a thousand."""
    chances = binom.cdf(np.arange(n + 1), n, 0.95)  # pyright: ignore[reportUnknownMemberType] - SciPy has no types for it
    return int(np.searchsorted(chances, SURE))


def _check_counts(two_weeks: Fortnight, results: Results) -> None:
    """Every visit was recorded as assigned and as forced, and only the assigned one counts."""
    n_visits = len(two_weeks.visits)
    window_us = round(results.rules.window_hours * HOUR_US)
    first_us: dict[int, int] = {}
    for visit in two_weeks.visits:
        first_us.setdefault(visit.customer, visit.now_us)
    experiment, _ = find(read_plan(two_weeks.plan), EXPERIMENT)
    assert experiment.ends_at is not None
    # The last answer is an hour after the experiment's end, and of no variant.
    last_us = min(to_us(results.until), to_us(experiment.ends_at))
    over = Counter(at + window_us <= last_us for at in first_us.values())
    assert results.left_out["answers_forced"] == n_visits
    assert sum(one.answers for one in results.variants) == n_visits
    assert sum(one.exposed for one in results.variants) == len(first_us)
    assert sum(one.analysed for one in results.variants) == over[True] > 0
    # The experiment ends with the visits: who comes last has no whole window in it.
    assert results.left_out["units_too_late_for_a_whole_window"] == over[False] > 0
    assert not results.sample_ratio.alarm
    done = tally(two_weeks.visits, until_us=last_us, window_us=window_us)
    for one in results.variants:
        bought = one.metrics["purchases"].value
        assert bought == pytest.approx(done[one.name, "purchase"] / one.analysed)
    # The service has no events from before its first day; all else is the same.
    unadjusted = {one.metric: one.unadjusted_lift for one in results.comparisons}
    assert {one.metric: one.unadjusted_lift for one in two_weeks.served.comparisons} == unadjusted
    page = two_weeks.page.read_text(encoding="utf-8")
    lifts = {one.metric: one.lift.value for one in results.comparisons}
    assert lifts["clicks_per_answer"] is not None
    for one in results.comparisons:
        # Of a hundredth the control may have too few buyers to be divided by.
        lift = lifts[one.metric]
        said = one.no_lift if lift is None else f"{lift:+.2%}"
        assert said is not None
        assert said in page


def _figures(two_weeks: Fortnight, results: Results, truth: dict[str, float]) -> dict[str, object]:
    return {
        "visits": len(two_weeks.visits),
        "customers_analysed": sum(one.analysed for one in results.variants),
        "true_lift": truth,
        "lift": {
            one.metric: one.lift.model_dump() for one in results.comparisons if one.metric in truth
        },
        "safe_lift": {
            one.metric: one.safe_lift.model_dump()
            for one in results.comparisons
            if one.metric in truth
        },
        "guardrails": {one.name: one.state for one in results.guardrails},
        "left_out": results.left_out,
    }
