"""The command that judges a dataset."""

import json
from pathlib import Path

import polars as pl
import typer
from typer.testing import CliRunner, Result

from tests.datasets import event, sale, write_csv, write_dataset
from training.checks.validation import validate

app = typer.Typer()
app.command()(validate)

BAD = event(event_id="bad", type="buy")
IMPORTED = "2025-06-30T12:00:00Z"


def run(directory: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["--data", str(directory), *options])


def test_a_good_dataset_is_usable_and_nothing_is_written(tmp_path: Path) -> None:
    before = sorted(write_dataset(tmp_path, events=[event(type="purchase")]).iterdir())

    result = run(tmp_path, "--strict")

    assert result.exit_code == 0
    assert "usable, 1 sales, 1 events, 0 pictures" in result.stdout
    assert sorted(tmp_path.iterdir()) == before


def test_faults_are_told_with_file_row_and_reason_and_rows_set_aside(tmp_path: Path) -> None:
    write_dataset(tmp_path, events=[event(), BAD])

    result = run(tmp_path)

    assert result.exit_code == 0
    assert "events.csv, row 2: type must be one of impression, view" in result.stdout
    assert "events.csv: 1 rows left out, kept in" in result.stdout
    assert pl.read_parquet(tmp_path / "quarantine.parquet")["row"].to_list() == [2]


def test_the_quarantine_goes_where_it_is_told(tmp_path: Path) -> None:
    write_dataset(tmp_path / "data", events=[event(), BAD])

    run(tmp_path / "data", "--quarantine", str(tmp_path / "aside.csv"))

    assert pl.read_csv(tmp_path / "aside.csv")["code"].to_list() == ["unknown_type"]
    assert not (tmp_path / "data" / "quarantine.parquet").exists()


def test_a_quarantine_that_would_replace_a_table_is_refused(tmp_path: Path) -> None:
    write_dataset(tmp_path)

    result = run(tmp_path, "--quarantine", str(tmp_path / "events.csv"))

    assert result.exit_code == 1
    assert "see --quarantine" in result.stderr


def test_a_strict_run_fails_at_the_first_file_with_faults(tmp_path: Path) -> None:
    write_dataset(tmp_path, sales=[sale(), sale()], events=[BAD])

    result = run(tmp_path, "--strict")

    assert result.exit_code == 1
    assert "duplicate_sale" in result.stdout
    assert "unknown_type" not in result.stdout
    assert not (tmp_path / "quarantine.parquet").exists()


def test_json_is_one_object_with_counts_and_the_first_of_each_kind(tmp_path: Path) -> None:
    write_dataset(tmp_path, events=[event(), BAD, event(event_id="worse", type="sell")])
    write_csv(tmp_path / "customers.csv", [{"customer_id": "c1"}])

    report = json.loads(run(tmp_path, "--json", "--shown", "1").stdout)

    assert report["usable"] is True
    assert (report["sales"], report["events"], report["customers"]) == (1, 1, 1)
    assert report["counts"] == {"unknown_type": 2}
    assert report["refused_rows"] == {"events.csv": 2}
    assert report["quarantine"] == str(tmp_path / "quarantine.parquet")
    assert [(f["file"], f["row"], f["effect"]) for f in report["faults"]] == [
        ("events.csv", 2, "row")
    ]


def test_a_dataset_that_is_not_there_is_reported_as_one_object_too(tmp_path: Path) -> None:
    result = run(tmp_path / "nowhere", "--json")

    report = json.loads(result.stdout)
    assert result.exit_code == 1
    assert report["usable"] is False
    assert report["counts"] == {"missing_file": 2}


def test_broken_pictures_are_looked_for_on_demand(tmp_path: Path) -> None:
    write_dataset(tmp_path, sales=[sale(image="broken.jpg")])
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "broken.jpg").write_bytes(b"no picture")

    assert "broken_image" not in run(tmp_path).stdout
    assert (
        "sales.csv, row 1: image 'broken.jpg' cannot be used" in run(tmp_path, "--pictures").stdout
    )


def test_what_is_odd_about_whole_files_is_said(tmp_path: Path) -> None:
    """Each of these would cost a model its use."""
    sales = [sale(currency="EUR", price="9"), sale(sale_id="s2", currency="JPY", price="900")]
    events = [
        event(event_id=f"e{day}", at=f"2025-01-{day:02}T00:00:00Z", received_at=IMPORTED)
        for day in range(1, 31)
    ]
    write_dataset(tmp_path, sales=[{**one, "stars": "4"} for one in sales], events=events)

    result = run(tmp_path)

    assert result.exit_code == 0
    assert "EUR (1 sales), JPY (1 sales)" in result.stdout
    assert "attribute 'stars' has one value" in result.stdout
    assert "received_at of 30 of 30 events (100%) is that of an import" in result.stdout


def test_headings_count_rows_and_leave_other_numbers_to_what_is_said_of_a_table(
    tmp_path: Path,
) -> None:
    """Two refunds are one finding; a row without two of its values is one row."""
    refunds = [event(event_id=f"r{n}", sale_id=f"s{n}", type="refund") for n in (1, 2)]
    events = [event(type="purchase", sale_id="s3"), *refunds, event(customer_id="", at="")]
    sales = [sale(sale_id=f"s{n}") for n in (1, 2, 3)]
    printed = run(write_dataset(tmp_path, sales=sales, events=events)).stdout

    assert "missing_value (1 row, left out)" in printed
    assert "refund_without_purchase (1 table or column, nothing lost)" in printed
    assert "2 of 2 refunds have no purchase" in printed


def test_a_dataset_that_train_refuses_is_not_called_usable(tmp_path: Path) -> None:
    in_two = [sale(currency="EUR", price="9"), sale(sale_id="s2", currency="JPY", price="900")]
    views = write_dataset(tmp_path / "views")
    mixed = write_dataset(tmp_path / "mixed", sales=in_two, events=[event(type="purchase")])
    other = write_dataset(tmp_path / "other", events=[event(sale_id="soon", type="purchase")])

    reasons = {
        views: "no event is a purchase or a click",
        mixed: "EUR (1 sales), JPY (1 sales)",
        other: "1 of 1 events (100%) name no sale of the dataset, such as 'soon'",
    }

    for folder, reason in reasons.items():
        result = run(folder)
        printed = result.stdout
        assert result.exit_code == 0
        headline = printed[printed.index(f"{folder}: ") :].splitlines()[0]
        # What to send next would follow the reason as if the rest were fine.
        assert "What to send next" not in printed
        assert json.loads(run(folder, "--json").stdout)["profile"]["send_next"] == []
        assert headline.startswith(f"{folder}: cannot be trained on: ")
        assert reason in headline
        assert reason in json.loads(run(folder, "--json").stdout)["train_refuses"]


def test_most_events_of_unknown_sales_are_a_matter_of_their_ids(tmp_path: Path) -> None:
    """Two of three; a search names no sale, and half of them are no reason for a note."""
    events = [
        event(type="purchase"),
        event(event_id="e2", sale_id="S-1"),
        event(event_id="e3", sale_id="S-1"),
        event(event_id="e4", sale_id="", type="search"),
    ]
    most = run(write_dataset(tmp_path / "most", events=events)).stdout
    half = run(write_dataset(tmp_path / "half", events=events[:2])).stdout

    assert "2 of 3 events (67%) name no sale of the dataset, such as 'S-1'" in most
    assert "unknown_sale (2 rows, kept, no model learns from them)" in most
    assert "most_sales_unknown" not in half


def test_events_later_than_now_are_counted(tmp_path: Path) -> None:
    events = [event(type="purchase"), event(event_id="e2", at="2999-01-01T00:00:00Z")]
    folder = write_dataset(tmp_path / "later", events=events)

    assert "note: 1 events are later than now, the last at 2999-01-01 00:00" in run(folder).stdout
    assert json.loads(run(folder, "--json").stdout)["later_than_now"] == 1
    assert "later than now" not in run(write_dataset(tmp_path / "past")).stdout


def test_events_outside_their_sale_are_remarked_if_they_are_most(tmp_path: Path) -> None:
    early = event(event_id="e1", at="2024-12-31T00:00:00Z")
    late = event(event_id="e2", at="2025-02-01T00:00:00Z")
    inside = event(event_id="e3", at="2025-01-02T00:00:00Z")
    sales = [sale(opens_at="2025-01-01T00:00:00Z", closes_at="2025-01-31T00:00:00Z")]
    most = write_dataset(tmp_path / "most", sales=sales, events=[early, late, inside])
    half = write_dataset(tmp_path / "half", sales=sales, events=[early, inside])

    assert "note: 2 of 3 events are before the opening or after the close" in run(most).stdout
    assert json.loads(run(half, "--json").stdout)["remarks"] == []


def test_orders_before_the_lists_that_sold_them_are_remarked(tmp_path: Path) -> None:
    """Such as of an order system in UTC beside pages in local time."""
    events = [
        event(type="purchase", at="2025-01-02T10:00:00Z"),
        event(event_id="e2", type="impression", at="2025-01-02T12:00:00Z"),
    ]

    result = run(write_dataset(tmp_path, events=events))

    assert "note: 0.0% of the purchases are credited to an impression" in result.stdout
    shares = json.loads(run(tmp_path, "--json").stdout)["profile"]["shares"]
    assert shares["purchases credited to an impression"] == 0


def test_one_id_of_most_events_is_remarked(tmp_path: Path) -> None:
    events = [event(type=kind) for kind in ("view", "cart", "click")]

    result = run(write_dataset(tmp_path, events=events))

    assert "note: 2 of 3 events have the `event_id` of another one of their customer" in (
        result.stdout
    )
