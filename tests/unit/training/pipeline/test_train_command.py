"""The commands, as a user types them."""

import json
import re
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from pydantic import BaseModel
from typer.testing import CliRunner, Result

from models.domain.event import from_us
from models.scoring.bundle import read_bundle
from models.scoring.scorer import Scorer
from tests.bundles import DRAFT, reversed_order
from tests.datasets import EVENT, SALE, Row, event, sale, write_dataset
from tests.logs import DAY
from tests.worlds import END_US
from training.__main__ import app
from training.pipeline.train_command import remarks_on_bundle
from training.pipeline.training_data import SceneFiles
from training.ranker.calibration import MIN_SLOPE

FIGURES = {"value", "low", "high", "n"}


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def train(data: Path, root: Path, *options: object) -> Result:
    cache = root / "cache"
    return run("train", "--data", data, "--out", root / "bundles", "--cache", cache, *options)


def evaluate(made: tuple[Path, Path], cache: Path, *options: object) -> Result:
    """Evaluate a bundle on a dataset; ``cache`` holds what its pictures show."""
    bundle, data = made
    return run("evaluate", "--bundle", bundle, "--data", data, "--cache", cache, *options)


def day(offset: int) -> str:
    """A day, counted from the one that the small world ends on."""
    return from_us(END_US + offset * DAY).date().isoformat()


Figures = dict[str, dict[str, dict[str, dict[str, float]]]]


class Evaluated(BaseModel):
    """What ``evaluate --json`` prints; the rest is JSON."""

    figures: Figures


class Trained(BaseModel):
    """What ``train --json`` prints."""

    bundle: str
    directory: Path
    objective: str
    metrics: dict[str, float]
    faults: dict[str, int]
    broken_pictures: int


def only_line(result: Result) -> str:
    """What a command printed on stdout, which is one line."""
    assert result.exit_code == 0, result.stderr
    (line,) = result.stdout.splitlines()
    return line


def trained(result: Result) -> Trained:
    return Trained.model_validate_json(only_line(result))


def figures_of(result: Result) -> Figures:
    return Evaluated.model_validate_json(only_line(result)).figures


def refusal(result: Result) -> str:
    """What a command said when it stopped."""
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert result.stdout == ""
    return result.stderr


def stripped(source: Path, target: Path, *, impressions: bool) -> Path:
    """Copy a dataset without pictures, customers, truth, sessions and markets."""
    target.mkdir()
    sales = pl.read_parquet(source / "sales.parquet").select("sale_id", "opens_at", "closes_at")
    sales.write_parquet(target / "sales.parquet")
    events = pl.read_parquet(source / "events.parquet")
    kept = events.filter(pl.lit(impressions) | (pl.col("type") != "impression"))
    kept.select("event_id", "customer_id", "sale_id", "type", "at").write_parquet(
        target / "events.parquet"
    )
    return target


@pytest.mark.parametrize(("impressions", "objective"), [(True, "click"), (False, "purchase")])
def test_a_dataset_of_the_required_columns_only_trains_and_is_evaluated(
    tiny_world: Path, tmp_path: Path, objective: str, *, impressions: bool
) -> None:
    """Impressions and clicks alone, or clicks, views and purchases: both have an outcome."""
    data = stripped(tiny_world, tmp_path / "data", impressions=impressions)
    if objective == "click":
        events = pl.read_parquet(data / "events.parquet")
        kept = events.filter(pl.col("type").is_in(["impression", "click"]))
        kept.write_parquet(data / "events.parquet")

    report = trained(train(data, tmp_path, "--json"))
    bundle = report.directory
    assert report.objective == read_bundle(bundle).manifest.config["objective"] == objective
    figures = figures_of(run("evaluate", "--bundle", bundle, "--data", data, "--json"))

    assert figures.keys() == ({"shown", "open"} if impressions else {"open"})
    for scorers in figures.values():
        assert {"meta", "popularity", "most_bought", "random"} <= scorers.keys()
        # Without content and pictures their recommenders are left out.
        assert not {"content", "images"} & scorers.keys()
        mrr = scorers["meta"]["mrr"]
        assert mrr.keys() == FIGURES
        assert 0 <= mrr["low"] <= mrr["value"] <= mrr["high"] <= 1
    # Its impressions have no positions, from which an order as shown could be known.
    assert "as_shown" not in figures.get("shown", {})


def test_a_simulated_world_is_judged_by_its_truth(
    tiny_bundle: tuple[Path, Path], picture_cache: Path
) -> None:
    bundle, data = tiny_bundle

    figures = figures_of(
        run(
            *("evaluate", "--bundle", bundle.name, "--bundles", bundle.parent, "--data", data),
            *("--from", day(-2), "--max-visits", 60, "--cache", picture_cache, "--json"),
        )
    )["open"]

    gained = {name: by["expected_purchases_at_10"]["value"] for name, by in figures.items()}
    assert gained["random"] < gained["truth"] == max(gained.values())
    assert figures["truth"]["true_ndcg_at_10"]["value"] == 1.0


def test_without_json_figures_are_tables(
    tiny_bundle: tuple[Path, Path], picture_cache: Path
) -> None:
    result = evaluate(tiny_bundle, picture_cache, "--max-visits", 20)

    assert result.exit_code == 0
    assert "expected_purchases_at_10" in result.stdout
    assert "as_shown" in result.stdout


def test_until_leaves_out_what_was_received_later_and_unread_columns_are_named_once(
    tiny_world: Path, tmp_path: Path
) -> None:
    data = stripped(tiny_world, tmp_path / "data", impressions=True)
    sales = pl.read_parquet(data / "sales.parquet")
    sales.with_columns(shop=pl.lit("one")).write_parquet(data / "sales.parquet")
    config = tmp_path / "run.toml"
    config.write_text("holdout_share = 0.4\nhidden_share = 0.0")
    options = ("--until", day(-1), "--config", config, "--half-lives", 2, 6, 24, 168, "--json")

    result = train(data, tmp_path, *options)

    report = trained(result)
    assert result.output.count("attribute 'shop' has one value") == 1
    events = pl.read_parquet(data / "events.parquet")
    before = events.filter(pl.col("at") < pl.lit(day(-2)).str.to_datetime(time_zone="UTC"))
    # Impressions of the last day are not settled: one at the very edge is.
    n_settled = before.filter(pl.col("type") == "impression").height
    n_examples = report.metrics["n_fitting"] + report.metrics["n_holdout"]
    # The first twentieth of the slates has no recommender that was fitted before it.
    assert 0.94 * n_settled < n_examples < 0.96 * n_settled
    bundle = read_bundle(report.directory)
    assert bundle.manifest.until == f"{day(-1)}T00:00:00+00:00"
    assert bundle.manifest.config["holdout_share"] == 0.4
    assert bundle.manifest.config["half_lives_hours"] == [2.0, 6.0, 24.0, 168.0]
    assert Scorer.load(bundle).counts.half_lives == (2.0, 6.0, 24.0, 168.0)


def test_nothing_to_judge_is_an_empty_object_and_a_sentence(
    tiny_bundle: tuple[Path, Path], picture_cache: Path
) -> None:
    result = evaluate(tiny_bundle, picture_cache, "--from", "2030-01-01", "--json")

    assert figures_of(result) == {}
    assert "nothing can be judged: no purchases follow what was shown then" in result.stderr


def test_a_report_is_written_into_a_folder_that_was_not_there(
    tiny_bundle: tuple[Path, Path], picture_cache: Path, tmp_path: Path
) -> None:
    page = tmp_path / "reports" / "today.html"

    result = evaluate(tiny_bundle, picture_cache, "--max-visits", 20, "--report", page)

    assert result.exit_code == 0
    assert "<html" in page.read_text(encoding="utf-8")


def test_figures_of_what_a_bundle_learned_from_are_said_to_flatter(
    tiny_bundle: tuple[Path, Path], picture_cache: Path
) -> None:
    known, later = (
        evaluate(tiny_bundle, picture_cache, "--max-visits", 20, "--json", "--from", day(offset))
        for offset in (-2, 1)
    )

    assert "these figures flatter" in known.stderr
    assert f"learned from what was received before {day(0)}" in known.stderr
    assert "flatter" not in later.stderr


def test_a_bundle_is_compared_with_its_reverse(
    tiny_bundle: tuple[Path, Path], picture_cache: Path, tmp_path: Path
) -> None:
    """The reverse likes best what the other likes least."""
    reverse = reversed_order(tiny_bundle[0], tmp_path, centre=-3.0)
    options = ("--max-visits", 60, "--from", day(-2), "--against", reverse)

    printed = evaluate(tiny_bundle, picture_cache, *options)
    result = evaluate(tiny_bundle, picture_cache, *options, "--json")

    found = json.loads(result.stdout)
    paired = found["paired"]["open"]
    gap = paired["differences"]["meta"]["expected_purchases_at_10"]
    own, other = (paired["figures"][name] for name in ("meta", reverse.name))
    assert paired["reference"] == reverse.name
    assert gap["verdict"] == "better"
    assert gap["value"] == pytest.approx(
        own["expected_purchases_at_10"]["value"] - other["expected_purchases_at_10"]["value"]
    )
    assert own == found["figures"]["open"]["meta"]
    assert f"This bundle ranks better than bundle {reverse.name}" in " ".join(
        printed.stdout.split()
    )
    assert "sales_of_the_reference" in found


def test_rows_that_could_not_be_judged_by_are_counted(
    tiny_bundle: tuple[Path, Path], picture_cache: Path, tmp_path: Path
) -> None:
    bundle, data = tiny_bundle
    events = pl.read_parquet(data / "events.parquet")
    odd = events.head(3).with_columns(event_id=pl.format("odd-{}", "event_id"), type=pl.lit("buy"))
    pl.concat([events, odd]).write_parquet(tmp_path / "events.parquet")
    shutil.copy(data / "sales.parquet", tmp_path)

    result = evaluate((bundle, tmp_path), picture_cache, "--max-visits", 20, "--json")

    assert "events.parquet: 3 rows left out" in result.stderr
    assert len(result.stdout.splitlines()) == 1


def wrong_key(data: Path, root: Path) -> Result:
    (root / "run.toml").write_text("leafs = 3")
    return train(data, root, "--config", root / "run.toml")


def before_everything(data: Path, root: Path) -> Result:
    return train(data, root, "--until", "2001-01-01")


def few_purchases(data: Path, root: Path) -> Result:
    del data
    return train(write_dataset(root / "few", events=[event(type="purchase")]), root)


def no_purchase(data: Path, root: Path) -> Result:
    del data
    return train(write_dataset(root / "none"), root)


def no_price(data: Path, root: Path) -> Result:
    return train(stripped(data, root / "data", impressions=True), root, "--objective", "value")


def hardly_a_price(data: Path, root: Path) -> Result:
    few = stripped(data, root / "data", impressions=True)
    sales = pl.read_parquet(few / "sales.parquet")
    priced = pl.when(pl.int_range(pl.len()) < 2).then(10.0).alias("price")
    sales.with_columns(priced).write_parquet(few / "sales.parquet")
    return train(few, root, "--objective", "value")


def one_sale(data: Path, root: Path) -> Result:
    del data
    times = [f"2025-01-{2 + n // 4:02}T{6 * (n % 4):02}:00:00Z" for n in range(80)]
    events = [event(event_id=str(n), at=at) for n, at in enumerate(times)]
    bought = [{**one, "event_id": f"b{one['event_id']}", "type": "purchase"} for one in events]
    return train(write_dataset(root / "one", sales=[sale()], events=[*events, *bought]), root)


def lists_of_one(data: Path, root: Path) -> Result:
    del data
    sales = [sale(), sale(sale_id="other")]
    events: list[Row] = []
    for n in range(80):
        at = f"2025-01-{2 + n // 4:02}T{6 * (n % 4):02}"
        seen = {"customer_id": f"c{n % 9}", "exposure_id": f"l{n}"}
        events += [
            event(event_id=f"i{n}", type="impression", at=f"{at}:00:00Z", position="1", **seen),
            event(event_id=f"b{n}", type="purchase", at=f"{at}:10:00Z", **seen),
        ]
    return train(write_dataset(root / "one", sales=sales, events=events), root)


def orders_before_lists(data: Path, root: Path) -> Result:
    del data
    days = [f"2025-01-{2 + n % 25:02}" for n in range(100)]
    orders = [
        event(event_id=f"b{n}", customer_id=f"c{n}", type="purchase", at=f"{day}T10:00:00Z")
        for n, day in enumerate(days)
    ]
    lists = [
        {**order, "event_id": f"{sale_id}{n}", "sale_id": sale_id, "type": "impression"}
        | {"at": f"{day}T12:00:00Z"}
        for n, (order, day) in enumerate(zip(orders, days, strict=True))
        for sale_id in ("s1", "s2")
    ]
    sales = [sale(), sale(sale_id="s2")]
    return train(write_dataset(root / "early", sales=sales, events=[*orders, *lists]), root)


def orders_before_openings(data: Path, root: Path) -> Result:
    """Sales that open again, and the orders of their last time."""
    del data
    orders = [
        event(
            event_id=f"b{n}",
            customer_id=f"c{n % 9}",
            sale_id=f"s{n % 2 + 1}",
            type="purchase",
            at=f"2025-01-02T{n // 2:02}:{n % 2 * 30:02}:00Z",
        )
        for n in range(40)
    ]
    again = "2025-06-01T00:00:00Z"
    sales = [sale(opens_at=again), sale(sale_id="s2", opens_at=again)]
    return train(write_dataset(root / "again", sales=sales, events=orders), root)


def no_events(data: Path, root: Path) -> Result:
    del data
    (write_dataset(root / "none") / "events.csv").write_text(",".join(EVENT))
    return train(root / "none", root)


def no_sales(data: Path, root: Path) -> Result:
    del data
    (write_dataset(root / "none") / "sales.csv").write_text(",".join(SALE))
    return train(root / "none", root)


def one_label(data: Path, root: Path) -> Result:
    scenes = root / "labelled"
    shutil.copytree(data / "scenes" / "beach", scenes / "beach")
    return train(data, root, "--scenes", scenes)


@pytest.mark.parametrize(("slope", "n"), [(MIN_SLOPE, 1), (0.06, 0)])
def test_scores_that_tell_nothing_are_remarked(slope: float, n: int) -> None:
    manifest = DRAFT.model_copy(
        update={"metrics": {"calibration_slope": slope}, "config": {"objective": "purchase"}}
    )

    remarks = remarks_on_bundle(manifest, n_sales=3, unpriced=1)

    assert len(remarks) == n
    assert all("hardly tell what is bought" in one for one in remarks)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (wrong_key, "run.toml: .*leafs"),
        (before_everything, "before 2001-01-01.* 0 events were received; choose a later end"),
        (few_purchases, "purchases, .* are needed: give more data"),
        (no_purchase, "no event is a purchase or a click, and nothing else is learned"),
        (no_price, r"0 of \d+ sales have a price, fewer than half: send `price` of sales"),
        (hardly_a_price, r"2 of \d+ sales have a price, fewer than half: send `price` of sales"),
        (
            one_sale,
            r"nothing to rank: each of \d+ visits has one open sale \(no impression is logged",
        ),
        (lists_of_one, r"nothing to rank: each of \d+ lists that were shown has one sale: give"),
        (orders_before_lists, "0.0% of the purchases are credited to an impr.*: give more data"),
        (orders_before_openings, "40 of 40 events are before the opening or after the close"),
        (no_events, "no_events"),
        (no_sales, "no_sales"),
        (one_label, "label"),
    ],
)
def test_train_stops_with_status_1_and_says_why(
    tiny_world: Path, tmp_path: Path, command: Callable[[Path, Path], Result], reason: str
) -> None:
    message = refusal(command(tiny_world, tmp_path)).replace("\n", " ")
    # What slates say is known before recommenders and features take their time.
    assert "recommenders" not in message

    assert message.count("error: ") == 1
    assert re.search(reason, message), message


def test_fewer_than_four_half_lives_are_refused_by_name(tiny_world: Path, tmp_path: Path) -> None:
    """With three numbers the next option is taken for the fourth."""
    result = run("train", "--half-lives", 1, 2, 3, "--out", tmp_path, "--data", tiny_world)

    assert result.exit_code == 2
    message = re.sub(r"[\s│]+", " ", result.stderr)
    assert "four numbers of hours, such as 1 6 48 336, got 1 2 3 --out" in message


@pytest.mark.parametrize("command", ["train", "nightly"])
def test_events_later_than_now_are_refused(tmp_path: Path, command: str) -> None:
    """One wrong clock would else make a bundle that is the newest until the year 2200."""
    late = event(event_id="late", at="2200-01-01T00:00:00Z")
    data = write_dataset(tmp_path / "data", events=[event(), late])

    kept = ("--cache", tmp_path, {"train": "--out", "nightly": "--state"}[command], tmp_path)

    message = refusal(run(command, "--data", data, *kept))

    assert "1 of 2 events are later than now" in message
    assert "2200-01-01T00:00:00+00:00, event 'late'" in message


def test_evaluate_refuses_a_bundle_that_is_unknown_or_changed(
    tiny_bundle: tuple[Path, Path], tmp_path: Path
) -> None:
    bundle, data = tiny_bundle
    flipped = tmp_path / bundle.name
    shutil.copytree(bundle, flipped)
    content = bytearray((flipped / "ranker.txt").read_bytes())
    content[100] ^= 1
    (flipped / "ranker.txt").write_bytes(content)

    unknown = refusal(run("evaluate", "--bundle", "no-such", "--data", data))
    changed = refusal(run("evaluate", "--bundle", flipped, "--data", data))

    assert "error: no bundle 'no-such'" in unknown
    assert "ranker.txt has sha256" in changed


def test_the_scene_model_of_a_bundle_is_the_one_that_saw_its_pictures(
    tiny_bundle: tuple[Path, Path],
) -> None:
    bundle, _ = tiny_bundle

    assert SceneFiles.read(bundle).scene_model == read_bundle(bundle).manifest.scene_model


def test_cold_start_says_that_no_new_sale_could_be_ranked(
    tiny_world: Path, picture_cache: Path, tmp_path: Path
) -> None:
    """Learned up to the very end, there is no visit left to judge."""
    until = (from_us(END_US) + timedelta(days=1)).isoformat()
    arguments = ["--data", tiny_world, "--until", until, "--out", tmp_path]

    result = run("cold-start", *arguments, "--cache", picture_cache)

    assert "no later visit had sales that opened at most 24 hours before" in refusal(result)


def test_cold_start_refuses_data_without_pictures(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data")

    result = run("cold-start", "--data", data, "--until", "2026-01-01", "--cache", tmp_path)

    assert "no pictures are seen" in refusal(result)


def test_lists_without_an_impression_are_the_reason_why_none_can_be_judged(
    tiny_bundle: tuple[Path, Path], picture_cache: Path, tmp_path: Path
) -> None:
    bundle, data = tiny_bundle
    without = stripped(data, tmp_path / "data", impressions=False)

    result = evaluate((bundle, without), picture_cache, "--protocol", "shown", "--json")

    assert figures_of(result) == {}
    assert "no impression is on record, so that no list is known: use `--protocol open`" in (
        result.stderr
    )
