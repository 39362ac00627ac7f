"""`covers` on files as a service exports them: values, and which picture works for whom."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from models.catalogue.snapshot import Snapshot, content_file
from models.covers.cover_choice import CoverPolicy
from models.domain.sale import PictureScores
from models.scoring.bundle import read_bundle
from models.scoring.scorer import Scorer
from tests.api.test_covers import COVERS
from tests.bundles import choosing
from tests.unit.training.off_policy.test_command import N_ANSWERS, export
from training.__main__ import app

POLICY = CoverPolicy(even_share=1.0)


@pytest.fixture(scope="module")
def chooser(tiny_bundle: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return choosing(tiny_bundle[0], tmp_path_factory.mktemp("shelf"), covers=COVERS)


@pytest.fixture(scope="module")
def exported(tiny_bundle: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each of two pictures was shown to 200: the first had 50 clicks, the second 100."""
    folder = tmp_path_factory.mktemp("covers")
    scorer = Scorer.load(read_bundle(tiny_bundle[0]))

    def shown(_: Scorer, now_us: int) -> list[dict[str, Any]]:
        row = int(scorer.seed_catalogue().eligible(None, now_us)[0])
        sale_id = scorer.seed_catalogue().sales[row].sale_id
        item: dict[str, Any] = {"sale_id": sale_id, "rank": 1, "propensity": 1.0, "rules": []}
        return [
            {
                "slate": [item],
                "device": "phone",
                "covers": {
                    "policy": POLICY.model_dump_json(),
                    "shown": [{"rank": 1, "number": 1 + number % 2, "propensity": 0.5}],
                },
            }
            for number in range(N_ANSWERS)
        ]

    def clicked(number: int, _: str) -> bool:
        return number % 4 == 1 or number % 8 == 0

    export(folder, tiny_bundle, shown, clicked=clicked)
    _add_impressions(folder)
    sales = {one.sale_id: one for one in scorer.snapshot.sales}
    some = next(iter(scorer.pictures.values()))
    other = PictureScores(some.probabilities, np.roll(some.embedding, 1), some.statistics)
    both = PictureScores.combine({1: some, 2: other})
    twice = Snapshot.from_sales(sales, dict.fromkeys(sales, both))
    (folder / content_file("c")).write_bytes(twice.to_bytes())
    return folder


def _add_impressions(folder: Path) -> None:
    """Every cover was seen at once."""
    events = pl.read_parquet(folder / "events.parquet")
    impressions = pl.read_parquet(folder / "exposures.parquet").select(
        event_id="recommendation_id",
        customer_id="customer_id",
        type=pl.lit("impression"),
        sale_id=pl.col("slate").list.first().struct.field("sale_id"),
        at=pl.col("now").cast(events.schema["at"]),
        exposure_id="recommendation_id",
        cover=pl.col("covers").struct.field("shown").list.first().struct.field("number"),
    )
    both = pl.concat([events, impressions], how="diagonal_relaxed")
    both.write_parquet(folder / "events.parquet")


def test_values_and_rates_are_those_of_the_log(exported: Path, chooser: Path) -> None:
    """Of first pictures 50 in 200; the second one is best, for all and on phones."""
    options = ["--data", str(exported), "--snapshots", str(exported), "--json"]

    run = CliRunner().invoke(app, ["covers", "--bundle", str(chooser), *options])

    assert run.exit_code == 0, run.output
    found = json.loads(run.stdout)
    first = found["values"]["first pictures"]
    assert first["logged"]["value"] == pytest.approx(150 / 400)
    assert list(first["target"]) == ["dm", "ips", "snips", "dr"]
    assert first["target"]["snips"]["value"] == pytest.approx(0.25)
    assert first["difference"]["snips"]["high"] < 0
    difference = found["difference"]
    assert list(difference) == ["dm", "ips", "snips", "dr"]
    # Both are of one log: what separates them is the difference to it of each.
    gains = [found["values"][name]["difference"]["snips"]["value"] for name in found["values"]]
    assert difference["snips"]["value"] == pytest.approx(gains[0] - gains[1])
    counts = {name: found[name] for name in ("answers", "covers", "covers_not_seen")}
    assert counts == {"answers": 400, "covers": 400, "covers_not_seen": 0}
    assert set(found["left_out"].values()) == {0}
    assert found["warning"].startswith("these figures flatter: 400 of 400 answers")
    rates = {(one["segment"], one["number"]): one for one in found["pictures"]}
    assert set(rates) == {("all", 1), ("all", 2)}
    assert rates["all", 2]["rate"]["value"] == pytest.approx(0.5)
    assert [rates["all", n]["is_best"] for n in (1, 2)] == [False, True]


def test_the_report_is_a_page_and_a_table(exported: Path, chooser: Path, tmp_path: Path) -> None:
    report, options = tmp_path / "covers.html", ["--snapshots", str(exported), "--report"]

    run = CliRunner().invoke(
        app,
        ["covers", "--bundle", str(chooser), "--data", str(exported), *options, str(report)],
    )

    assert run.exit_code == 0, run.output
    assert "Which picture works for whom" in report.read_text(encoding="utf-8")
    assert "50.00%" in run.stdout
    assert "covers of the bundle - first pictures" in " ".join(run.stdout.split())
    assert "these figures flatter" in run.stdout
    assert "400 covers of 400 answers were seen; 0 others" in run.stdout
    assert "2 of 2 pictures that were seen have at least 10 clicks" in " ".join(run.stdout.split())


def test_a_bundle_without_covers_is_refused(exported: Path, tiny_bundle: tuple[Path, Path]) -> None:
    options = ["--data", str(exported), "--snapshots", str(exported)]

    run = CliRunner().invoke(app, ["covers", "--bundle", str(tiny_bundle[0]), *options])

    assert run.exit_code == 1
    assert "it chooses no covers" in run.output
