"""A killed nightly run resumes with equal results; a worse bundle is not published."""

import json
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import polars as pl
import pytest

from models.domain.sale import Sale
from models.experiments.exposure_record import FILE_COLUMNS
from models.ranker.objective import TrainingObjective
from models.ranker.two_stage import BUYING_FILE, CALIBRATION_FILE, RANKER_FILE
from models.scoring.bundle import MANIFEST, Bundle, bundle_paths, newest_bundle, read_bundle
from models.scoring.bundle_storage import BundleStorage
from models.scoring.night_record import NightRecords, NightVerdict
from models.scoring.scorer import META, SCENES_FILE, TOPICS_FILE, Scorer, recommender_file
from models.slate.slate_policy import PlackettLuce
from tests.end_to_end.night import JUDGE_HOURS, killed_night, night_in
from tests.proofs import ROOT, Proof
from tests.trials import RECORDED
from tests.worlds import Silent
from training.configuration import RunConfig
from training.nightly.run import run_night

KILLED_AT: Final = (
    ("validate", 0),
    ("scenes", 0),
    ("scenes", 20),
    ("pictures", 0),
    ("pictures", 30),
    ("topics", 0),
    ("recommenders", 1),
    ("counts", 100),
    ("features", 0),
    ("features", 2),
    ("ranker", 0),
    ("evaluate", 0),
    ("decide", 0),
    ("refit", 0),
    ("publish", 0),
)
"""Stages and ticks of progress within, in their order: each night gets a little further."""

IN_CHECK: Final = (("publish", 0),)


@dataclass(frozen=True)
class Calm:
    """An undisturbed night."""

    root: Path
    data: Path
    cache: Path


@pytest.fixture(scope="module")
def calm(tiny_world: Path, picture_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Calm:
    root = tmp_path_factory.mktemp("calm")
    outcome = run_night(night_in(root, tiny_world, cache=picture_cache), progress=Silent())
    assert outcome.verdict is NightVerdict.PUBLISHED, outcome.reasons
    return Calm(root, tiny_world, picture_cache)


MADE_AT: Final = re.compile(rb'"created_at": ?"[^"]+"')
"""The one thing in which two equal bundles differ."""


def nightly(root: Path, data: Path, *, cache: Path) -> "subprocess.CompletedProcess[str]":
    """Run the command as the CronJob does."""
    options = {
        "--data": data,
        "--bundles": root / "bundles",
        "--profiles": root / "profiles",
        "--state": root / "state",
        "--cache": cache,
        "--judge-hours": JUDGE_HOURS,
        "--publish-to": f"file://{root}/storage",
    }
    words = [str(word) for option in options.items() for word in option]
    command = [sys.executable, "-m", "training", "nightly", "--json", *words]
    return subprocess.run(
        command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=600
    )


def contents(root: Path) -> dict[str, bytes]:
    """Return every published file by its name below a folder, without when it was made."""
    patterns = ("bundles/*/*", "profiles/**/*")
    files = [path for one in patterns for path in root.glob(one) if path.is_file()]
    return {
        str(path.relative_to(root)): MADE_AT.sub(b"", path.read_bytes(), count=1)
        if path.name == MANIFEST
        else path.read_bytes()
        for path in files
    }


@pytest.mark.prove
@pytest.mark.slow
def test_a_night_killed_in_every_stage_publishes_the_same_bytes(
    calm: Calm, tmp_path: Path, proof: Proof
) -> None:
    """In full the killed nights begin with an empty cache, so that pictures are seen anew."""
    whole = proof.share == 1
    cache = tmp_path / "cache" if whole else calm.cache
    killed = KILLED_AT if whole else IN_CHECK
    for stage, n_ticks in killed:
        status = killed_night(tmp_path, calm.data, cache=cache, stage=stage, n_ticks=n_ticks)
        assert status == -signal.SIGKILL, f"{stage} after {n_ticks} ticks: exit status {status}"
        assert not (tmp_path / "bundles").exists()
    (trained,) = (tmp_path / "state").glob("train-*.json")
    trained_ns = trained.stat().st_mtime_ns

    ended = nightly(tmp_path, calm.data, cache=cache)

    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["verdict"] == "published"
    assert contents(tmp_path) == contents(calm.root)
    storage = BundleStorage.open(f"file://{tmp_path}/storage")
    assert [storage.newest()] == [*bundle_paths(tmp_path / "bundles")]
    (record,) = NightRecords.read(tmp_path / "bundles").items
    assert (record.verdict, record.published) == (NightVerdict.PUBLISHED, storage.newest())
    assert record.differences.keys() == {"shown_mrr", "open_recall_at_10"}
    assert storage.nights().items == [record]
    assert trained.stat().st_mtime_ns == trained_ns  # what was finished is not done again
    proof.record("nightly", {"killed_at": [f"{stage}+{ticks}" for stage, ticks in killed]})


@pytest.mark.slow
def test_what_is_published_is_what_was_judged_and_knows_the_days_that_judged_it(
    calm: Calm,
) -> None:
    (published,) = (read_bundle(path) for path in (calm.root / "bundles").iterdir())
    judged = read_bundle(calm.root / "state" / "candidates" / published.manifest.judged_as)

    ends = (datetime.fromisoformat(one.manifest.until) for one in (judged, published))
    earlier, later = ({sale.sale_id for sale in known_sales(one)} for one in (judged, published))
    kept = {name for name, content in judged.files.items() if published.files[name] == content}
    learned = recommender_file("covisitation")

    assert next(ends) + timedelta(hours=JUDGE_HOURS) == next(ends)
    assert earlier < later
    assert {RANKER_FILE, BUYING_FILE, CALIBRATION_FILE, SCENES_FILE, TOPICS_FILE} <= kept
    assert learned in published.files
    assert learned not in kept


def known_sales(bundle: Bundle) -> tuple[Sale, ...]:
    return Scorer.load(bundle).snapshot.sales


def misled(data: Path, folder: Path) -> Path:
    """Copy a dataset whose early reactions went to the sale at the other end of the list."""
    folder.mkdir()
    for path in data.iterdir():
        (folder / path.name).symlink_to(path)
    (folder / "events.parquet").unlink()
    events = pl.read_parquet(data / "events.parquet")
    shown = events.filter(pl.col("type") == "impression").select(
        "exposure_id", "position", other="sale_id"
    )
    last = shown.group_by("exposure_id").agg(last=pl.col("position").max())
    mirrored = (
        events.with_row_index()
        .join(last, on="exposure_id", how="left")
        .with_columns(mirror=pl.col("last") + 1 - pl.col("position"))
        .join(
            shown,
            left_on=["exposure_id", "mirror"],
            right_on=["exposure_id", "position"],
            how="left",
        )
        .sort("index")
    )
    is_early = pl.col("at") < pl.col("at").max() - timedelta(hours=JUDGE_HOURS)
    reacted = pl.col("type").is_in(["click", "cart", "purchase"]) & pl.col("other").is_not_null()
    sale_id = pl.when(is_early & reacted).then("other").otherwise("sale_id").alias("sale_id")
    mirrored.with_columns(sale_id).select(events.columns).write_parquet(folder / "events.parquet")
    return folder


@pytest.mark.slow
def test_a_candidate_that_learned_from_wrong_reactions_is_refused(
    calm: Calm, tmp_path: Path
) -> None:
    """It is judged on what customers really did, beside what a calm night published.

    By clicks: the few purchases of the small shop leave both with the same simple scorer.
    """
    config = RunConfig(objective=TrainingObjective.CLICK)
    night = night_in(tmp_path / "root", calm.data, cache=calm.cache, config=config)
    run_night(night, progress=Silent())
    before = contents(night.bundles.parent)
    data = misled(calm.data, tmp_path / "data")

    outcome = run_night(replace(night, data=data), progress=Silent())

    assert outcome.verdict is NightVerdict.REJECTED, outcome.reasons
    (serving,) = night.bundles.iterdir()
    assert outcome.champion == serving.name
    assert any(f"below {serving.name}" in reason for reason in outcome.reasons)
    assert contents(night.bundles.parent) == before


def answered(
    data: Path, folder: Path, bundle_id: str, *, order_by: str, exploration: str | None = None
) -> Path:
    """Copy a dataset as if a bundle had made its lists."""
    folder.mkdir()
    for path in data.iterdir():
        (folder / path.name).symlink_to(path)
    shown = pl.read_parquet(data / "events.parquet").filter(
        pl.col("type") == "impression", pl.col("exposure_id").is_not_null()
    )
    # The simulator draws every list by Plackett-Luce, and says by which propensities.
    propensity = pl.lit(1.0) if exploration is None else pl.col("propensity")
    placed = pl.struct("sale_id", rank="position", propensity=propensity)
    lists = shown.group_by("exposure_id").agg(now=pl.col("at").min(), slate=placed)
    own: dict[str, object] = {
        **RECORDED,
        "bundle_id": bundle_id,
        "order_by": order_by,
        "exploration": exploration,
    }
    rows: list[dict[str, object]] = [
        {
            **own,
            "recommendation_id": name,
            "now": now,
            "slate": [{**one, "rules": list[str]()} for one in slate],
        }
        for name, now, slate in lists.sort("exposure_id").iter_rows()
    ]
    pl.DataFrame(rows, schema=FILE_COLUMNS).write_parquet(folder / "exposures.parquet")
    return folder


@pytest.mark.slow
def test_by_a_drawn_log_of_its_own_a_worse_champion_is_replaced_and_a_better_one_stays(
    calm: Calm, tmp_path: Path
) -> None:
    """One learned from reactions at the other end of the list; the log values each by clicks."""
    config = RunConfig(objective=TrainingObjective.CLICK)
    night = night_in(tmp_path / "root", calm.data, cache=calm.cache, config=config)
    good = str(run_night(night, progress=Silent()).published)
    data = misled(calm.data, tmp_path / "data")
    drawn = PlackettLuce(temperature=1.0, share=1.0).model_dump_json()
    of_good = answered(data, tmp_path / "of-good", good, order_by=META, exploration=drawn)

    worse = run_night(replace(night, data=of_good), progress=Silent())

    assert worse.verdict in {NightVerdict.REJECTED, NightVerdict.NEEDS_TRAFFIC}, worse.reasons
    assert f"compared with {good} it brings -" in worse.reasons[0], worse.reasons
    bad = night.state / "candidates" / str(worse.candidate)
    of_bad = answered(calm.data, tmp_path / "of-bad", bad.name, order_by=META, exploration=drawn)
    better = run_night(replace(night, data=of_bad, champion=bad), progress=Silent())
    assert better.verdict is NightVerdict.PUBLISHED, better.reasons
    assert better.champion == bad.name
    assert better.reasons[0].startswith(f"compared with {bad.name} it brings +"), better.reasons


@pytest.mark.slow
def test_a_log_that_cannot_judge_leaves_the_champion_refitted_and_the_candidate_waiting(
    calm: Calm, tmp_path: Path
) -> None:
    """A plan orders by revenue: no answer is in the order that the candidate would have."""
    root = tmp_path / "root"
    shutil.copytree(calm.root, root)
    (serving,) = (root / "bundles").iterdir()
    data = answered(calm.data, tmp_path / "data", serving.name, order_by="meta-revenue")
    night = replace(night_in(root, data, cache=calm.cache), seed=1)

    outcome = run_night(night, progress=Silent())

    assert outcome.verdict is NightVerdict.NEEDS_TRAFFIC, outcome.reasons
    assert outcome.reasons[0].startswith("0 effective purchases followed answers of")
    published = read_bundle(root / "bundles" / str(outcome.published)).manifest
    awaiting = read_bundle(root / "bundles" / str(outcome.awaiting)).manifest
    before = read_bundle(root / "bundles" / serving.name).manifest
    assert published.judged_as == before.judged_as
    assert awaiting.judged_as == outcome.candidate
    assert outcome.candidate != before.judged_as
    assert awaiting.awaits_traffic
    assert not published.awaits_traffic
    assert newest_bundle(root / "bundles") == root / "bundles" / published.bundle_id
    for served in (published, before):
        (root / "bundles" / served.bundle_id / RANKER_FILE).write_bytes(b"damaged")
    assert newest_bundle(root / "bundles") is None


@pytest.mark.slow
def test_a_candidate_that_is_the_champion_again_needs_no_customers(
    calm: Calm, tmp_path: Path
) -> None:
    """The night is repeated: the same days, so the same bytes, and a log that cannot judge."""
    root = tmp_path / "root"
    shutil.copytree(calm.root, root)
    (serving,) = (root / "bundles").iterdir()
    data = answered(calm.data, tmp_path / "data", serving.name, order_by="meta-revenue")

    outcome = run_night(night_in(root, data, cache=calm.cache), progress=Silent())

    assert outcome.verdict is NightVerdict.PUBLISHED
    assert outcome.reasons[0].startswith(f"nothing new: the candidate is that of {serving.name}")
    assert outcome.awaiting is None
    before, after = (
        read_bundle(root / "bundles" / name).manifest
        for name in (serving.name, str(outcome.published))
    )
    assert after.judged_as == before.judged_as == outcome.candidate
