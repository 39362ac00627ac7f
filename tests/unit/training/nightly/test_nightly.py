"""A night: stages done once, a gate that knows noise, and a bundle that appears last."""

from pathlib import Path

import pytest
from pydantic import JsonValue

from models.bundle import read_bundle
from models.counters import HOUR_US
from tests.worlds import Silent
from training.configuration import RunConfig
from training.evaluation.interval import Interval
from training.nightly.gate import decide
from training.nightly.ledger import BusyError, Ledger
from training.nightly.run import Night, Verdict, run_night


class StoppedError(Exception):
    """Ends a run in the middle."""


class StopAt(Silent):
    """Stops when a stage begins."""

    def __init__(self, stage: str) -> None:
        self.at = stage
        self.seen: list[str] = []

    def stage(self, name: str, total: int | None = None) -> None:
        """Take note of the stage, or stop."""
        del total
        self.seen.append(name)
        if name == self.at:
            raise StoppedError


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
    assert decide(found, reference="champion").passed is passed


def test_a_stage_is_done_once_for_equal_inputs_and_again_if_its_output_is_gone(
    tmp_path: Path,
) -> None:
    done: list[int] = []

    def work() -> dict[str, JsonValue]:
        done.append(len(done))
        return {"n": len(done)}

    ledger = Ledger(tmp_path)

    first, again = ledger.once("a", {"x": 1}, work=work), ledger.once("a", {"x": 1}, work=work)
    other = ledger.once("a", {"x": 2}, work=work)
    gone = ledger.once("a", {"x": 1}, work=work, holds=lambda _: False)

    assert [first, again, other, gone] == [{"n": 1}, {"n": 1}, {"n": 2}, {"n": 3}]


def test_two_runs_do_not_share_a_state(tmp_path: Path) -> None:
    with Ledger(tmp_path).alone(), pytest.raises(BusyError), Ledger(tmp_path).alone():
        pass


@pytest.mark.slow
def test_a_night_that_was_cut_off_goes_on_and_publishes_last(
    tiny_world: Path, picture_cache: Path, tmp_path: Path
) -> None:
    night = Night(
        data=tiny_world,
        bundles=tmp_path / "bundles",
        profiles=tmp_path / "profiles",
        state=tmp_path / "state",
        cache=picture_cache,
        scenes=None,
        champion=None,
        config=RunConfig(),
        judge_us=72 * HOUR_US,
        max_fault_share=0.01,
        seed=0,
    )
    for stage in ("ranker", "evaluate", "gate", "publish"):
        with pytest.raises(StoppedError):
            run_night(night, progress=StopAt(stage))
        assert not night.bundles.exists()

    progress = StopAt("")
    outcome = run_night(night, progress=progress)

    assert progress.seen == ["validate", "evaluate", "gate", "publish"]
    assert outcome.verdict is Verdict.PUBLISHED
    (published,) = night.bundles.iterdir()
    assert read_bundle(published).id == outcome.candidate
    assert outcome.profiles is not None
    assert outcome.profiles.is_file()
    assert outcome.report is not None
    assert outcome.report.is_file()
