"""The commands on files as a service exports them."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner, Result

from models.catalogue.snapshot import content_file, counts_file
from models.domain.customer import Window
from models.domain.event import from_us
from models.domain.profile import Profile
from models.domain.units import HOUR_US
from models.experiments.exposure_record import FILE_COLUMNS
from models.promotion.estimate import OffPolicyEstimate, estimate_finding
from models.promotion.rule import EstimateRules
from models.query.query import Context, Query
from models.scoring.bundle import read_bundle
from models.scoring.scorer import Scorer
from models.slate.slate import make_slate
from models.slate.slate_policy import PlackettLuce, SlatePolicy, usual_exploration
from tests.trials import INTERLEAVED, RECORDED
from training.__main__ import app
from training.simulator.parameters import DAY_US

N_ANSWERS = 400
N_USUAL = 3_000
TEMPERATURE = 2.0


def slates(
    scorer: Scorer, now_us: int, *, exploration: PlackettLuce, n: int
) -> list[list[dict[str, Any]]]:
    """Slates of two, drawn from the bundle's own scores, with their propensities."""
    catalogue = scorer.seed_catalogue()
    rows = catalogue.eligible(None, now_us)
    query = Query(Window.empty(), Profile.empty(), catalogue, Context(now_us), rows)
    scores = scorer.score(query)
    policy = SlatePolicy(exploration=exploration)
    drawn = [make_slate(query, scores, policy=policy, limit=2, seed=seed) for seed in range(n)]
    return [
        [
            {
                "sale_id": catalogue.sales[rows[pick]].sale_id,
                "rank": rank,
                "propensity": chance,
                "rules": [],
            }
            for rank, (pick, chance) in enumerate(
                zip(one.picks, one.propensities.tolist(), strict=True), start=1
            )
        ]
        for one in drawn
    ]


@pytest.fixture(scope="module")
def exported(tiny_bundle: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a service leaves behind that showed 400 visitors slates; 100 clicked the first sale."""
    folder = tmp_path_factory.mktemp("off-policy")
    drawn = PlackettLuce(temperature=TEMPERATURE)

    def shown(scorer: Scorer, now_us: int) -> list[dict[str, Any]]:
        made = slates(scorer, now_us, exploration=drawn, n=N_ANSWERS)
        return [{"slate": slate} for slate in made]

    export(folder, tiny_bundle, shown, clicked=lambda number, _: number % 4 == 0)
    return folder


def export(
    folder: Path,
    tiny_bundle: tuple[Path, Path],
    shown: Callable[[Scorer, int], list[dict[str, Any]]],
    *,
    clicked: Callable[[int, str], bool],
) -> None:
    """Write answers, and clicks at the first sale of those whose number and sale are clicked."""
    bundle, world = tiny_bundle
    scorer = Scorer.load(read_bundle(bundle))
    events = pl.read_parquet(world / "events.parquet")
    end_us = int(events["at"].dt.epoch("us").to_numpy().max())
    now_us = end_us - 2 * DAY_US
    (folder / content_file("c")).write_bytes(scorer.snapshot.to_bytes())
    (folder / counts_file("n")).write_bytes(scorer.counts.to_bytes())
    answers: list[dict[str, Any]] = [
        {
            **RECORDED,
            "recommendation_id": f"r{number}",
            "customer_id": f"visitor{number}",
            "now": from_us(now_us),
            "assignments": [
                {
                    "experiment": "home",
                    "variant": "explore",
                    "unit": "customer",
                    "unit_id": f"visitor{number}",
                    "share_bp": 10_000,
                    "is_forced": False,
                }
            ],
            **columns,
        }
        for number, columns in enumerate(shown(scorer, now_us))
    ]
    pl.DataFrame(answers, schema=FILE_COLUMNS).write_parquet(folder / "exposures.parquet")
    clicks = pl.DataFrame(
        [
            {
                "event_id": f"click{number}",
                "customer_id": f"visitor{number}",
                "type": "click",
                "sale_id": one["slate"][0]["sale_id"],
                "at": from_us(now_us + HOUR_US),
                "exposure_id": f"r{number}",
            }
            for number, one in enumerate(answers)
            if clicked(number, one["slate"][0]["sale_id"])
        ]
    ).with_columns(pl.col("at").cast(events.schema["at"]))
    pl.concat([events, clicks], how="diagonal").write_parquet(folder / "events.parquet")
    (folder / "sales.parquet").write_bytes((world / "sales.parquet").read_bytes())


def run(exported: Path, bundle: Path, *more: str) -> Result:
    """Value a policy of the bundle."""
    files = ["--data", str(exported), "--bundle", str(bundle), "--snapshots", str(exported)]
    return CliRunner().invoke(app, ["off-policy", *files, "--reward", "clicks", *more])


@pytest.mark.slow
def test_the_logging_policy_has_the_value_that_was_logged(
    exported: Path, tiny_bundle: tuple[Path, Path], tmp_path: Path
) -> None:
    page = tmp_path / "page.html"

    done = run(
        exported,
        tiny_bundle[0],
        *("--temperature", f"{TEMPERATURE}", "--json", "--report", str(page)),
    )

    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["logged"]["value"] == 0.25
    assert [round(found["target"][name]["value"], 6) for name in ("ips", "snips", "rips")] == [
        0.25,
        0.25,
        0.25,
    ]
    assert found["support"]["effective"] == pytest.approx([N_ANSWERS, N_ANSWERS])
    assert found["left_out"]["window_not_over"] == 0
    # They are of two days before the end of the data that the bundle learned from.
    assert found["warning"].startswith("these figures flatter: 400 of 400 answers")
    assert {"cascade-dr", "flatter"} <= set(re.findall(r"[\w-]+", page.read_text("utf-8")))
    estimate = OffPolicyEstimate.model_validate(found)
    rule = estimate_finding(EstimateRules(estimator="ips"), estimate, drawn_share=1.0)
    assert (estimate.bundle, rule.found) == (tiny_bundle[0].name, pytest.approx(0.0))


@pytest.mark.slow
def test_a_log_of_the_default_share_values_the_drawn_slates(
    tiny_bundle: tuple[Path, Path], tmp_path: Path
) -> None:
    """All click at the first sale unless it is the model's best: 98% of slates bring nothing.

    Slates that are always drawn bring a click with the probability that another sale is drawn
    first, by the softmax of the log-odds over the temperature. What was drawn and begins with
    another sale has the propensity ``0.02 * target``, so ips weighs each such click by 50.
    """
    exploration = usual_exploration(0.02)
    assert exploration is not None
    best: list[str] = []
    truth: list[float] = []

    def shown(scorer: Scorer, now_us: int) -> list[dict[str, Any]]:
        catalogue = scorer.seed_catalogue()
        rows = catalogue.eligible(None, now_us)
        query = Query(Window.empty(), Profile.empty(), catalogue, Context(now_us), rows)
        scores = scorer.score(query)
        best.append(catalogue.sales[int(rows[np.argmax(scores.order)])].sale_id)
        odds = np.exp(np.log(scores.probabilities / (1 - scores.probabilities)) / 0.3)
        truth.append(1 - float(odds.max() / odds.sum()))
        text = exploration.model_dump_json()
        made = slates(scorer, now_us, exploration=exploration, n=N_USUAL)
        usual = [{"slate": slate, "exploration": text} for slate in made]
        certain = [
            [{**one, "propensity": chance} for one, chance in zip(slate, (0.5, 1.0), strict=True)]
            for slate in made[: N_USUAL // 50]
        ]
        both = [{"slate": slate, "interleaving": INTERLEAVED} for slate in certain]
        return [*usual, *both]

    export(tmp_path, tiny_bundle, shown, clicked=lambda _, sale_id: sale_id != best[0])

    done = run(tmp_path, tiny_bundle[0], "--json")

    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    n_clicks = round(found["logged"]["value"] * N_USUAL)
    assert found["left_out"] | {"interleaved": N_USUAL // 50, "not_drawn": 0} == found["left_out"]
    assert found["support"]["n_rounds"] == N_USUAL
    assert found["support"]["unsupported"] == 0.0
    assert found["target"]["ips"]["value"] == pytest.approx(50 * n_clicks / N_USUAL)
    for name in ("ips", "snips", "rips"):
        interval = found["target"][name]
        # One log of some 70 drawn slates: beyond its 95% once in twenty, and three times it never.
        width = interval["high"] - interval["low"]
        assert interval["low"] - width < truth[0] < interval["high"] + width, name
    # As it was served it is the policy of the log, which weighs every answer by 1.
    served = json.loads(run(tmp_path, tiny_bundle[0], "--drawn-share", "0.02", "--json").stdout)
    assert served["support"]["effective"] == pytest.approx([N_USUAL, N_USUAL])
    for name in ("ips", "snips", "rips"):
        assert served["target"][name]["value"] == pytest.approx(served["logged"]["value"]), name


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--temperature", "0"), "slates of the target policy with a reward"),
        ((), "answers have none: give --temperature"),
        (("--order-by", "nobody", "--temperature", "1"), "no policy 'nobody'"),
        (("--variant", "ab:other", "--temperature", "1"), "no answer of the variant 'ab:other'"),
    ],
)
def test_what_cannot_be_told_is_refused(
    exported: Path, tiny_bundle: tuple[Path, Path], arguments: tuple[str, ...], message: str
) -> None:
    """The best first is one of thousands of slates that chance draws."""
    done = run(exported, tiny_bundle[0], *arguments, "--json")

    assert done.exit_code == 1
    if done.stdout:
        told = OffPolicyEstimate.model_validate_json(done.stdout)
        assert (told.bundle, message in (told.refusal or "")) == (tiny_bundle[0].name, True)
    assert message in done.stderr


def test_a_folder_without_the_open_bandit_dataset_is_refused(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["open-bandit", "--data", str(tmp_path)])

    assert done.exit_code == 1
    assert "is missing: give the folder that holds random and bts" in done.stderr


def test_a_share_of_slates_that_are_not_drawn_is_refused(tmp_path: Path) -> None:
    """Without a temperature the share would change nothing."""
    done = run(tmp_path, tmp_path, "--temperature", "0", "--drawn-share", "0.02")

    assert done.exit_code == 2
    assert "no slate is drawn at a temperature of 0" in done.output
