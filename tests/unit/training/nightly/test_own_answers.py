"""Recorded answers of the champion, and what a candidate would have shown in their place."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from models.dataset.reading import read_dataset
from models.domain.event import from_us
from models.domain.units import HOUR_US, SECOND_US
from models.experiments.exposure import ExposureError
from models.experiments.exposure_record import FILE_COLUMNS
from models.rules.rule import NO_RULES, SlateRules
from models.scoring.bundle import write_bundle
from models.slate.exploration import is_drawn, seed_from
from models.slate.slate_policy import NewSaleSlots, PlackettLuce
from tests.logs import NOON
from tests.trials import INTERLEAVED, RECORDED, recorded_slate
from training.configuration import RunConfig
from training.nightly.comparison import BundleComparison, JudgedBundle
from training.nightly.own_answers import (
    RecordedSlate,
    first_sales,
    read_own_log,
    recorded_slates,
)
from training.nightly.own_log import OwnLog, value_of
from training.nightly.refit import refitted

N_CUSTOMERS = 40
N_PLACES = 10
DRAWN = PlackettLuce(temperature=0.3, share=0.02)
MOSTLY = PlackettLuce(temperature=0.3, share=0.7)
ALL_DRAWN = PlackettLuce(temperature=0.3, share=1).model_dump_json()
BALI_LESS = '[{"name": "less", "where": "sale_id == \'bali\'", "action": {"kind": "exclude"}}]'
PINNED = '[{"name": "pin", "where": "price < 3", "action": {"kind": "pin", "rank": 1}}]'


def answer(name: str, sales: list[str], **columns: object) -> dict[str, object]:
    slate = recorded_slate(sales)
    own = {"recommendation_id": name, "bundle_id": "b", "now": from_us(NOON), "slate": slate}
    return {**RECORDED, **own, **columns}


def test_only_full_answers_of_the_bundle_in_its_own_order_are_read() -> None:
    rows = [
        answer("kept", ["s1", "s2"]),
        answer("drawn in part", ["s1"], exploration=DRAWN.model_dump_json()),
        answer("of another", ["s1"], bundle_id="c"),
        answer("degraded", ["s1"], degraded="anonymous"),
        answer("own candidates", ["s1"], candidates=["s1"]),
        answer("of two policies", ["s1", "s2"], interleaving=INTERLEAVED),
        answer("filtered", ["s1"], filter="price < 3"),
        answer("by a rule of the plan", ["s1"], rules=BALI_LESS),
        answer("a drawn pin", ["s1"], rules=PINNED, exploration=ALL_DRAWN),
        answer("page", ["s1"], rows=[{"row": None, "n_items": 1, "because_of": None}]),
        answer("diverse", ["s1"], diversity=0.1),
        answer("by price", ["s1"], order_by="meta-revenue"),
        answer("new sales", ["s1"], exploration=NewSaleSlots().model_dump_json()),
        answer(
            "mostly", ["s1"], exploration=DRAWN.model_copy(update={"share": 0.7}).model_dump_json()
        ),
    ]

    found = recorded_slates(pl.DataFrame(rows, schema=FILE_COLUMNS), ["b"])

    assert list(found) == ["kept", "drawn in part", "by a rule of the plan"]
    assert [rule.name for rule in found["by a rule of the plan"].rules.root] == ["less"]
    assert found["kept"].sale_ids == ("s1", "s2")
    assert not found["kept"].is_drawn
    assert found["drawn in part"].is_drawn == is_drawn(seed_from("drawn in part"), 0.02)


def comparison(data: Path, now_us: int, cache: Path) -> BundleComparison:
    until_us = now_us + 3 * 86_400_000_000
    return BundleComparison(read_dataset(data), now_us, until_us, RunConfig(), 0, cache)


def write(data: Path, world: Path, events: list[dict[str, object]], *, now: datetime) -> Path:
    """Write a shop in which nothing else happens from a moment on."""
    data.mkdir()
    before = pl.read_parquet(world / "events.parquet").filter(pl.col("at") <= now)
    after = pl.DataFrame(events).with_columns(pl.col("at").cast(before.schema["at"]))
    pl.concat([before, after], how="diagonal_relaxed").write_parquet(data / "events.parquet")
    (data / "sales.parquet").write_bytes((world / "sales.parquet").read_bytes())
    return data


def lists_of(judged: JudgedBundle, rules: SlateRules = NO_RULES) -> dict[str, tuple[str, ...]]:
    """Return a bundle's first sales by the name of each answer."""
    exposures = judged.evaluator.past.events.exposures
    names = exposures.values.gather(judged.slates.exposures.clip(0)).to_list()
    chosen = [number for number, name in enumerate(names) if name.startswith("answer-")]
    shown = RecordedSlate("", ("",) * N_PLACES, np.ones(N_PLACES), 0.0, is_drawn=False, rules=rules)
    firsts = first_sales(judged, np.array(chosen), recorded=[shown] * len(chosen))
    return {names[number]: first for number, first in zip(chosen, firsts, strict=True)}


@dataclass(frozen=True)
class Answered:
    """Customers who are each shown a bundle's first sales, and buy one of them.

    It served with recommenders of the night before, and is judged with older ones.
    """

    judged: Path
    served: Path
    data: Path
    now_us: int
    answers: pl.DataFrame

    def own_log(self, **columns: pl.Expr) -> OwnLog:
        """Read the log of a candidate that is the champion, with some columns changed."""
        changed = self.answers.with_columns(**columns)
        changed.write_parquet(self.data / "exposures.parquet")
        return self.read()

    @property
    def recorded(self) -> dict[str, tuple[str, ...]]:
        """The lists that were shown, by answer."""
        slates = recorded_slates(self.answers, [self.served.name])
        return {name: one.sale_ids for name, one in slates.items()}

    def shown_by(self, bundle: Path, rules: SlateRules = NO_RULES) -> dict[str, tuple[str, ...]]:
        """Return the lists that a bundle shows as it is, by answer."""
        judged = JudgedBundle.load(bundle, comparison(self.data, self.now_us, self.data.parent))
        return lists_of(judged, rules)

    def read(self) -> OwnLog:
        compared = comparison(self.data, self.now_us, self.data.parent)
        judged = JudgedBundle.load(self.judged, compared)
        forms = {self.served.name: self.served}
        log = read_own_log(judged, judged, forms=forms, comparison=compared)
        assert log is not None
        return log


@pytest.fixture(scope="module")
def answered(tiny_bundle: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Answered:
    tmp_path = tmp_path_factory.mktemp("answered")
    judged, world = tiny_bundle
    known = pl.read_parquet(world / "events.parquet")
    customers = known["customer_id"].unique().sort().to_list()[:N_CUSTOMERS]
    now_us = int(known["at"].dt.epoch("us").to_numpy().max()) - 2 * HOUR_US
    now = from_us(now_us)

    def shown(customer: str, sale: str, position: int) -> dict[str, object]:
        name = f"answer-{customer}"
        event = {"event_id": f"{name}-{position}", "customer_id": customer, "type": "impression"}
        return {**event, "sale_id": sale, "position": position, "at": now, "exposure_id": name}

    any_sale = pl.read_parquet(world / "sales.parquet")["sale_id"][0]
    probe = write(
        tmp_path / "probe", world, [shown(one, any_sale, 1) for one in customers], now=now
    )
    compared = comparison(probe, now_us, tmp_path)
    night_us = now_us // SECOND_US * SECOND_US
    refit = refitted(judged, replace(compared, until_us=night_us))
    served = write_bundle(tmp_path / "bundles", refit.manifest, files=refit.files)
    asked = JudgedBundle.load(served, compared)
    lists = lists_of(asked)
    events = [
        shown(name.removeprefix("answer-"), sale, position)
        for name, sales in lists.items()
        for position, sale in enumerate(sales, start=1)
    ]
    for number, (name, sales) in enumerate(lists.items()):
        bought = shown(name.removeprefix("answer-"), sales[number % N_PLACES], 0)
        later = {"event_id": f"{name}-bought", "type": "purchase", "position": None}
        events.append({**bought, **later, "at": from_us(now_us) + timedelta(hours=1)})
    data = write(tmp_path / "data", world, events, now=now)
    rows = [answer(name, [*sales], bundle_id=served.name) for name, sales in lists.items()]
    answers = pl.DataFrame(rows, schema=FILE_COLUMNS)
    return Answered(judged, served, data, now_us, answers)


@pytest.mark.slow
def test_a_candidate_that_is_the_champion_has_its_value(answered: Answered) -> None:
    """Exactly, though it is judged with older recommenders, which would show other sales."""
    log = answered.own_log()

    assert answered.shown_by(answered.served) == answered.recorded
    assert answered.shown_by(answered.judged) != answered.recorded
    assert len(log.champion) >= 30
    assert log.champion.tolist() == [1.0] * len(log.champion)
    assert log.shared.tolist() == log.champion.tolist()
    assert not log.all_drawn
    value = value_of(log, seed=0).at_least
    assert value is not None
    assert (value.low, value.value, value.high) == (0.0, 0.0, 0.0)


@pytest.mark.slow
def test_both_lists_are_made_under_the_rules_of_the_answer(answered: Answered) -> None:
    """What a rule excluded is in no list, and the sales below it follow."""
    first = next(iter(answered.recorded.values()))[0]
    text = f'[{{"name": "no", "where": "sale_id == \'{first}\'", "action": {{"kind": "exclude"}}}}]'

    under = answered.shown_by(answered.served, SlateRules.from_record(text))
    log = answered.own_log(rules=pl.lit(text))

    for name, sales in answered.recorded.items():
        left = [sale for sale in sales if sale != first]
        assert [*under[name]][: len(left)] == left
        assert first not in under[name]
    assert len(log.champion) >= 30
    assert log.shared.tolist() == log.champion.tolist()


@pytest.mark.slow
def test_where_all_answers_are_drawn_the_log_says_so(answered: Answered) -> None:
    drawn = DRAWN.model_copy(update={"share": 1}).model_dump_json()

    log = answered.own_log(exploration=pl.lit(drawn))

    assert log.all_drawn
    assert log.champion.tolist() == pytest.approx(log.shared.tolist())


@pytest.mark.slow
def test_answers_of_other_bundles_leave_an_empty_log(answered: Answered) -> None:
    log = answered.own_log(bundle_id=pl.lit("another"))

    assert not len(log.champion)
    assert not log.all_drawn


@pytest.mark.slow
def test_answers_that_were_recorded_with_fewer_columns_are_an_error(answered: Answered) -> None:
    answered.answers.drop("diversity").write_parquet(answered.data / "exposures.parquet")

    with pytest.raises(ExposureError, match=r"export-events: .*diversity"):
        answered.read()
