"""A night: stages done once, and a publishing gate that knows noise."""

import re
from datetime import datetime, timedelta
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
from pydantic import JsonValue
from typer.testing import CliRunner

from models.scoring.bundle import read_manifest
from models.scoring.night_record import NightRecords, NightVerdict
from models.scoring.scorer import META
from tests.datasets import EVENT, SALE, Row, write_dataset
from tests.datasets import event as row
from tests.proofs import ROOT
from training.__main__ import app
from training.nightly.command import EXIT_CODES, sentence_for
from training.nightly.comparison import Measured, differences
from training.nightly.night import NightOutcome
from training.nightly.publish_gate import GateVerdict, decide
from training.nightly.stage_cache import BusyError, StageCache
from training.statistics.bootstrap import Interval

BAD = row(at="yesterday")


def interval(low: float, high: float) -> Interval:
    return Interval((low + high) / 2, low, high, 100)


@pytest.mark.parametrize(
    ("found", "passed"),
    [
        ({"a": interval(-0.2, 0.1), "b": interval(0.1, 0.2)}, True),
        ({"a": interval(-0.2, 0.0)}, True),
        ({"a": interval(-0.2, -0.01), "b": interval(0.1, 0.2)}, False),
        ({}, False),
    ],
)
def test_only_what_is_worse_beyond_noise_is_refused(
    found: dict[str, Interval], *, passed: bool
) -> None:
    assert (
        decide(found, reference="champion", outcomes="purchases").verdict is GateVerdict.PUBLISH
    ) == passed


def test_a_measure_that_judged_no_slate_lets_nothing_pass() -> None:
    customers, unknown = np.arange(3), np.full(3, np.nan)
    measured = {"recall": Measured(customers, {META: unknown})}

    found = differences(measured, measured, order=META, seed=0)

    assert found == {}
    assert decide(found, reference="champion", outcomes="purchases").verdict is GateVerdict.REFUSE


@pytest.mark.parametrize("judge_hours", [72, 24])
def test_nothing_new_says_when_the_outcome_is_known_or_what_never_lets_it_be(
    tiny_bundle: tuple[Path, Path], tmp_path: Path, judge_hours: int
) -> None:
    """The bundle knows all days: with the default of 24 hours it is known a day after its end."""
    bundle, world = tiny_bundle
    state = ["--profiles", f"{tmp_path}/p", "--state", f"{tmp_path}/s", "--cache", str(tmp_path)]
    copytree(bundle, tmp_path / "b" / bundle.name)
    words = ["nightly", "--data", str(world), "--bundles", f"{tmp_path}/b", *state]

    result = CliRunner().invoke(app, [*words, "--judge-hours", str(judge_hours)])

    known = datetime.fromisoformat(read_manifest(bundle).until) + timedelta(days=1)
    said = {
        72: f"it is once the data reach beyond {known.isoformat()}",
        24: "--judge-hours (24) end before an outcome is known: more than 24 (`outcome_hours`)",
    }
    assert result.exit_code == EXIT_CODES[NightVerdict.NOTHING_NEW], result.output
    assert said[judge_hours] in result.stdout


def test_a_stage_is_done_once_for_equal_inputs_and_again_if_its_output_is_gone(
    tmp_path: Path,
) -> None:
    done: list[int] = []

    def work() -> dict[str, JsonValue]:
        done.append(len(done))
        return {"n": len(done)}

    stages = StageCache(tmp_path)

    first, again = stages.once("a", {"x": 1}, work=work), stages.once("a", {"x": 1}, work=work)
    other = stages.once("a", {"x": 2}, work=work)
    gone = stages.once("a", {"x": 1}, work=work, holds=lambda _: False)

    assert [first, again, other, gone] == [{"n": 1}, {"n": 1}, {"n": 2}, {"n": 3}]


def test_a_stage_whose_output_is_damaged_is_done_again(tmp_path: Path) -> None:
    stages = StageCache(tmp_path)
    stages.once("a", {"x": 1}, work=lambda: {"n": 1})
    [path] = tmp_path.glob("a-*.json")
    path.write_bytes(path.read_bytes()[:5])

    assert stages.once("a", {"x": 1}, work=lambda: {"n": 2}) == {"n": 2}


@pytest.mark.parametrize(("n_sales", "rows", "status"), [(1, [], 4), (0, [], 4), (1, [BAD], 1)])
def test_a_night_before_the_first_event_has_nothing_new(
    tmp_path: Path, n_sales: int, rows: list[Row], status: int
) -> None:
    """Rows that could not be used are another thing: something is wrong then."""
    data = write_dataset(tmp_path / "data", sales=[SALE], events=[*rows, EVENT])
    for name, n_rows in {"sales": n_sales, "events": len(rows)}.items():
        lines = (data / f"{name}.csv").read_text(encoding="utf-8").splitlines()
        (data / f"{name}.csv").write_text("\n".join(lines[: n_rows + 1]), encoding="utf-8")

    result = CliRunner().invoke(
        app, ["nightly", "--data", str(data), "--state", str(tmp_path), "--bundles", str(tmp_path)]
    )

    assert result.exit_code == status
    assert ("nothing_new" in result.stdout) == (status == 4)
    (record,) = NightRecords.read(tmp_path).items
    assert record.verdict is (NightVerdict.NOTHING_NEW if status == 4 else NightVerdict.FAILED)
    assert record.reasons[0] in result.output


def test_a_night_that_finds_another_at_work_leaves_the_records_to_it(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", sales=[SALE], events=[EVENT])
    options = ["--data", str(data), "--state", str(tmp_path), "--bundles", str(tmp_path)]
    with StageCache(tmp_path).alone():
        result = CliRunner().invoke(app, ["nightly", *options])

    assert result.exit_code == 1
    assert NightRecords.read(tmp_path).items == []


def test_a_night_names_every_bundle_by_its_role() -> None:
    outcome = NightOutcome(
        verdict=NightVerdict.NEEDS_TRAFFIC,
        reasons=("too few",),
        candidate="b3",
        published="b2r",
        champion="b2",
        awaiting="b3r",
    )

    assert sentence_for(outcome) == (
        "needs_traffic: candidate b3, champion b2, published b2r, awaits traffic b3r: too few"
    )
    assert (
        sentence_for(NightOutcome(verdict=NightVerdict.NOTHING_NEW, reasons=("no event",)))
        == "nothing_new: no event"
    )


def test_two_runs_do_not_share_a_state(tmp_path: Path) -> None:
    with StageCache(tmp_path).alone(), pytest.raises(BusyError), StageCache(tmp_path).alone():
        pass


def test_the_job_of_the_chart_is_not_repeated_at_the_commands_exit_statuses() -> None:
    template = (ROOT / "deploy/chart/templates/nightly.yaml").read_text(encoding="utf-8")
    rule = re.search(
        r"onExitCodes: \{containerName: nightly, .* values: \[([0-9, ]+)\]\}", template
    )

    assert rule is not None
    final = {status for status in EXIT_CODES.values() if status}
    assert {int(status) for status in rule[1].split(",")} == {1, *final}
