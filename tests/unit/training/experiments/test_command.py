"""``python -m training experiment-report`` over exported files."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner, Result

from models.experiments.plan.experiment import Experiment
from tests.browser import look
from tests.datasets import event, sale, write_dataset
from tests.trials import DAY_US, START, Answer, exposures, two_arms
from training.__main__ import app

N = 150
DAY = {"window_hours": 24}


def plan_file(path: Path, experiment: Experiment) -> Path:
    plan = {
        "layers": [{"name": "layer", "salt": "layer-salt"}],
        "experiments": [experiment.model_dump(mode="json", exclude_unset=True)],
    }
    path.write_text(json.dumps(plan), encoding="utf-8")
    return path


@pytest.fixture
def directory(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Two weeks of 150 customers of each variant, of whom the treated buy twice as often."""
    answers = [
        Answer(unit=f"{variant}-{i}", variant=variant, at=int(rng.integers(12) * DAY_US))
        for variant in ("control", "treatment")
        for i in range(N)
    ]
    exposures(answers).write_parquet(tmp_path / "exposures.parquet")
    bought = [
        event(
            event_id=f"e{number}",
            customer_id=one.unit or "",
            type="purchase",
            at=f"2026-03-{2 + one.at // DAY_US:02}T01:00:00Z",
            revenue="100",
        )
        for number, one in enumerate(answers)
        if rng.random() < (0.5 if one.variant == "treatment" else 0.25)
    ]
    bought.append(event(event_id="last", at="2026-03-16T00:00:00Z", customer_id="nobody"))
    write_dataset(tmp_path, sales=[sale()], events=bought)
    plan_file(tmp_path / "plan.json", two_arms(results=DAY))
    return tmp_path


def run(command: str, directory: Path, *options: str, name: str = "trial") -> Result:
    plan = str(directory / "plan.json")
    arguments = ["--name", name, "--plan", plan, "--data", str(directory), *options]
    return CliRunner().invoke(app, [command, *arguments])


def report(directory: Path, *options: str, name: str = "trial") -> Result:
    exposures = ["--exposures", str(directory)]
    return run("experiment-report", directory, *exposures, *options, name=name)


def reported(directory: Path, *options: str) -> dict[str, Any]:
    found = report(directory, *options)
    assert found.exit_code == 0, found.output
    return json.loads(found.stdout)


def test_the_report_finds_who_bought_more(directory: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"

    found = reported(directory, "--json", "--out", str(out))

    conversion = found["comparisons"][0]
    assert conversion["metric"] == "conversion"
    assert conversion["lift"]["low"] > 0
    assert [one["analysed"] for one in found["variants"]] == [N, N]
    verdict = "The effect of treatment on conversion may be chance so far: "
    assert [one["text"].startswith(verdict) for one in found["verdicts"]] == [True]
    html = out.read_text(encoding="utf-8")
    assert html.count("fill: #5b8db8; fill-opacity: 0.35") >= 3
    assert "no alarm" in html
    assert "The effect of treatment on conversion may be chance so far" in html
    assert START.strftime("%Y-%m-%d") in html


def test_units_purchases_and_period_stand_beside_the_verdict(
    directory: Path, tmp_path: Path
) -> None:
    out = tmp_path / "report.html"

    reported(directory, "--out", str(out), "--json")

    head = out.read_text(encoding="utf-8").partition("Beside control")[0]
    n_bought = (directory / "events.csv").read_text(encoding="utf-8").count(",purchase,")
    facts = re.findall(r'class="figure">([^<]+)<', head)
    assert facts == [f"{2 * N:,}", f"{n_bought:,}", "14.0 days"]


@pytest.mark.browser
@pytest.mark.slow
def test_a_browser_shows_the_lift_and_complains_of_nothing(directory: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    found = reported(directory, "--json", "--out", str(page))

    seen = look(page, tmp_path / "browser")

    assert (seen.console, seen.requests) == ([], [])
    for one in found["comparisons"]:
        lift = one["lift"]
        if lift["low"] is not None and lift["high"] is not None:
            interval = f"[{lift['low']:+.2%}, {lift['high']:+.2%}]"
            assert f"<td>{lift['value']:+.2%}<br><small>{interval}</small></td>" in seen.dom


def test_an_alarm_stands_first(directory: Path, tmp_path: Path) -> None:
    plan_file(directory / "plan.json", two_arms(treatment_bp=3_000, results=DAY))
    answers = [
        Answer(unit=f"{variant}-{i}", variant=variant, share_bp=share)
        for variant, share in (("control", 7_000), ("treatment", 3_000))
        for i in range(N)
    ]
    exposures(answers).write_parquet(directory / "exposures.parquet")
    out = tmp_path / "report.html"

    found = reported(directory, "--json", "--out", str(out))

    assert found["sample_ratio"]["alarm"]
    html = out.read_text(encoding="utf-8")
    alarm = html.index("ALARM: assigned units are not in the assigned shares")
    assert 0 < alarm < html.index("conversion")


def test_tables_are_printed(directory: Path) -> None:
    printed = report(directory)

    assert printed.exit_code == 0
    assert "conversion" in printed.stdout
    assert "coverage" in printed.stdout


def test_an_experiment_without_a_history_cannot_be_designed(directory: Path) -> None:
    designed = run("experiment-design", directory)

    assert designed.exit_code == 1
    assert "error: trial cannot be planned: events cover" in designed.stderr


def test_a_design_says_how_many_units_the_verdict_and_one_look_need(directory: Path) -> None:
    at = [f"2026-{1 + i // 28:02}-{1 + i % 28:02}T00:00:00Z" for i in range(56)]
    before = [event(event_id=f"b{i}", customer_id=f"c{i}", at=at[i]) for i in range(56)]
    bought = [
        event(event_id=f"p{i}", customer_id=f"c{i}", at=at[i], type="purchase")
        for i in range(0, 56, 4)
    ]
    last = event(event_id="last", at="2026-03-02T00:00:00Z")
    write_dataset(directory, sales=[sale()], events=[*before, *bought, last])

    designed = run("experiment-design", directory, "--lift", "0.2", "--json")
    printed = run("experiment-design", directory, "--lift", "0.2")

    assert designed.exit_code == 0, designed.output
    found = json.loads(designed.stdout)
    assert found["wanted_lift"] == 0.2
    assert found["planned_units"] == 10_000
    size = found["sizes"][0]
    assert size["required_units_at_one_look"] == 2_442
    # (3.0354 + 0.8416)^2 / (1.96 + 0.8416)^2 times as many.
    assert size["required_units"] == size["planned_units"] == 4_677
    assert "which plans 10000 now" in " ".join(printed.stdout.split())


def test_an_interleaving_is_reported_in_words_and_as_a_page(
    directory: Path, tmp_path: Path
) -> None:
    """Sixty of 120 customers click the candidate's place, and six the serving one's."""
    teams = [{"name": "serving"}, {"name": "candidate"}]
    fields = {
        **dict(two_arms(results=DAY)),
        "kind": "interleaving",
        "control": "serving",
        "variants": teams,
    }
    plan_file(directory / "plan.json", Experiment.model_validate(fields))
    answers = [Answer(unit=f"c{n}", variant="interleaved", share_bp=10_000) for n in range(120)]
    pairs = [["serving", "candidate"], ["candidate", "serving"]]
    shared = [{"experiment": "trial", "teams": pairs[n % 2]} for n in range(120)]
    exposures(answers).with_columns(pl.Series("interleaving", shared)).write_parquet(
        directory / "exposures.parquet"
    )
    clicked = {n: 1 - n % 2 for n in range(60)} | {n: n % 2 for n in range(60, 66)}
    clicks = [
        event(
            event_id=f"k{n}",
            customer_id=f"c{n}",
            type="click",
            sale_id=f"s{1 + place}",
            at="2026-03-02T01:00:00Z",
            exposure_id=f"x{n}",
        )
        for n, place in clicked.items()
    ]
    last = event(event_id="last", at="2026-03-16T00:00:00Z", customer_id="nobody")
    write_dataset(directory, sales=[sale()], events=[*clicks, last])
    out = tmp_path / "report.html"

    found = reported(directory, "--json", "--out", str(out))
    printed = report(directory)

    overall = found["preferences"][0]
    assert (overall["for_second"], overall["for_first"], overall["tied"]) == (60, 6, 54)
    assert found["rules"]["planned_units"] == 1_000
    verdict = "Customers prefer candidate to serving: of 66 who credited one more, 60 credited"
    assert found["verdict"].startswith(verdict)
    html = out.read_text(encoding="utf-8")
    assert verdict in html
    assert "stands above" in html
    assert verdict in " ".join(printed.stdout.split())


def test_an_unknown_experiment_names_the_known(directory: Path) -> None:
    refused = report(directory, name="other")

    assert refused.exit_code == 1
    assert "error: the plan has no experiment 'other'; it has trial" in refused.stderr


def test_a_file_that_is_no_plan_is_named(directory: Path) -> None:
    (directory / "plan.json").write_text("layers: 7", encoding="utf-8")

    refused = report(directory)

    assert refused.exit_code == 1
    assert "plan.json holds no plan of experiments" in refused.stderr
