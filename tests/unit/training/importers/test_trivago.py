"""Sessions of hotel search become sales and events, and nothing else."""

import json
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from models.dataset import DatasetError, FaultCode, read_dataset
from models.domain.event import KIND, EventType
from tests.shared import shared_data
from training.importers.command import app
from training.importers.trivago import VIEW_ACTIONS, import_trivago

START = 1_541_548_939
ROW: dict[str, object] = {
    "user_id": "u",
    "session_id": "v",
    "timestamp": START,
    "step": 1,
    "action_type": "interaction item image",
    "reference": "10",
    "platform": "AU",
    "city": "Bendigo, Australia",
    "device": "mobile",
    "current_filters": None,
    "impressions": None,
    "prices": None,
}
CLICKOUT: dict[str, object] = ROW | {
    "timestamp": START + 60,
    "step": 3,
    "action_type": "clickout item",
    "reference": "11",
    "impressions": "10|11|12",
    "prices": "70|80|90",
}


def source(directory: Path, *rows: dict[str, object]) -> Path:
    path = directory / "sessions.parquet"
    pl.DataFrame(list(rows), infer_schema_length=None).write_parquet(path)
    return path


def test_a_session_becomes_events_in_its_order(tmp_path: Path) -> None:
    search = ROW | {"step": 2, "action_type": "search for poi", "reference": "Port"}
    imported = import_trivago(source(tmp_path, ROW, search, CLICKOUT), tmp_path)

    events = pl.read_parquet(tmp_path / "events.parquet")
    prefix = f"v-{START + 60}-3"
    at = [f"v-{START}-1", prefix, f"{prefix}-1", f"{prefix}-2", f"{prefix}-3"]
    assert events["event_id"].to_list() == at
    assert events["type"].to_list() == ["view", "purchase", *["impression"] * 3]
    assert events["sale_id"].to_list() == ["10", "11", "10", "11", "12"]
    assert events["position"].to_list() == [None, 2, 1, 2, 3]
    assert events["price"].to_list() == [None, 80, 70, 80, 90]
    assert events["exposure_id"].to_list() == [None, *[prefix] * 4]
    assert events["at"].to_physical().to_list() == [
        START * 1_000_000 + 1,
        *[(START + 60) * 1_000_000 + 3] * 4,
    ]
    assert events.select("customer_id", "session_id", "market", "device").unique().rows() == [
        ("u", "v", "AU", "mobile")
    ]
    assert imported.n_events == {"impression": 3, "purchase": 1, "view": 1}
    assert imported.not_imported == {"search for poi": 1}


def test_every_hotel_is_a_sale_that_opens_with_the_data(tmp_path: Path) -> None:
    import_trivago(source(tmp_path, CLICKOUT, ROW | {"reference": "99"}), tmp_path)

    sales = pl.read_parquet(tmp_path / "sales.parquet")
    assert sales["sale_id"].to_list() == ["10", "11", "12", "99"]
    assert sales["opens_at"].to_physical().unique().to_list() == [START * 1_000_000]


@pytest.mark.parametrize("action", VIEW_ACTIONS)
def test_what_touches_a_hotel_is_a_view(tmp_path: Path, action: str) -> None:
    imported = import_trivago(source(tmp_path, ROW | {"action_type": action}), tmp_path)

    assert imported.n_events == {"view": 1}


def test_a_clickout_of_a_hotel_that_was_not_listed_has_no_exposure(tmp_path: Path) -> None:
    import_trivago(source(tmp_path, CLICKOUT | {"reference": "77"}), tmp_path)

    events = pl.read_parquet(tmp_path / "events.parquet").filter(type="purchase")
    assert events.select("sale_id", "exposure_id", "position").rows() == [("77", None, None)]


def test_a_session_that_starts_anew_on_another_day_loses_nothing(tmp_path: Path) -> None:
    again = ROW | {"timestamp": START + 86_400}

    imported = import_trivago(source(tmp_path, ROW, again), tmp_path)

    assert imported.n_events == {"view": 2}
    assert len(imported.faults) == 0


@pytest.mark.parametrize(
    ("malformed", "code"),
    [
        (CLICKOUT, FaultCode.CONFLICTING_EVENT),
        (ROW | {"reference": "unknown"}, FaultCode.WRONG_TYPE),
        (ROW | {"reference": None}, FaultCode.WRONG_TYPE),
        (ROW | {"user_id": None}, FaultCode.MISSING_VALUE),
        (ROW | {"step": -1}, FaultCode.NEGATIVE_NUMBER),
        (CLICKOUT | {"step": 4, "impressions": None, "prices": None}, FaultCode.MISSING_VALUE),
        (CLICKOUT | {"step": 4, "prices": "70|80"}, FaultCode.WRONG_TYPE),
        (CLICKOUT | {"step": 4, "prices": None}, FaultCode.WRONG_TYPE),
        (CLICKOUT | {"step": 4, "prices": "70|x|90"}, FaultCode.WRONG_TYPE),
        (CLICKOUT | {"step": 4, "impressions": "10||12"}, FaultCode.WRONG_TYPE),
    ],
)
def test_a_malformed_row_is_left_out_and_counted(
    tmp_path: Path, malformed: dict[str, object], code: FaultCode
) -> None:
    imported = import_trivago(source(tmp_path, CLICKOUT, malformed), tmp_path)

    assert imported.faults.counts() == {code: 1}
    assert imported.n_events == {"impression": 3, "purchase": 1}


def test_a_source_without_its_columns_is_refused(tmp_path: Path) -> None:
    row = {name: value for name, value in ROW.items() if name != "step"}

    with pytest.raises(DatasetError, match="no column 'step'"):
        import_trivago(source(tmp_path, row), tmp_path)


def test_the_same_source_gives_the_same_bytes(tmp_path: Path) -> None:
    sessions = source(tmp_path, ROW, CLICKOUT)
    import_trivago(sessions, tmp_path / "a")
    import_trivago(sessions, tmp_path / "b")

    for name in ("sales.parquet", "events.parquet"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_command_reports_what_was_and_was_not_imported(tmp_path: Path) -> None:
    sort = ROW | {"step": 2, "action_type": "change of sort order", "reference": "price"}
    sessions = source(tmp_path, CLICKOUT, sort, ROW | {"reference": "unknown"})
    arguments = ["trivago", "--source", str(sessions), "--out", str(tmp_path / "out"), "--json"]

    result = CliRunner().invoke(app, arguments)

    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        "out": str(tmp_path / "out"),
        "rows": 3,
        "sales": 3,
        "events": {"impression": 3, "purchase": 1},
        "not_imported": {"change of sort order": 1},
        "faults": {"wrong_type": 1},
        "quarantine": str(tmp_path / "out" / "not_imported.parquet"),
    }


def test_the_command_names_a_source_that_cannot_be_read(tmp_path: Path) -> None:
    sessions = tmp_path / "sessions.parquet"
    sessions.write_bytes(b"nothing")

    result = CliRunner().invoke(app, ["trivago", "--source", str(sessions), "--out", str(tmp_path)])

    assert result.exit_code == 1
    assert "sessions.parquet: is not a readable Parquet file" in result.stderr


def test_real_sessions_are_imported_whole_and_read_without_faults(tmp_path: Path) -> None:
    """Counts are those of the source, taken from it in another way."""
    sessions = shared_data("trivago") / "sessions.parquet"
    rows = pl.read_parquet(sessions)
    clickouts = rows.filter(pl.col("action_type") == "clickout item")

    imported = import_trivago(sessions, tmp_path)
    dataset = read_dataset(tmp_path, strict=True)

    n_listed = sum(text.count("|") + 1 for text in clickouts["impressions"])
    kinds = dataset.events.kinds
    assert (kinds == KIND[EventType.IMPRESSION]).sum() == n_listed
    assert (kinds == KIND[EventType.PURCHASE]).sum() == clickouts.height
    n_views = imported.n_events["view"]
    n_others = sum(imported.not_imported.values())
    assert clickouts.height + n_views + n_others + len(imported.faults) == rows.height
    assert len(dataset.faults) == 0
