"""The summary of a complete run, and its CSV."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from models.dataset.list_folder import SUMMARY_FILE
from models.slate.slate_policy import SlatePolicy
from tests.logs import sale
from training.lists.list_run import STRANGERS, ListRun
from training.lists.make_lists import alone, is_complete, unfinished_at_us
from training.lists.results import AUDIENCE_FILE, summarised, write_csv
from training.lists.scoring import AUDIENCE_COLUMNS, LIST_COLUMNS
from training.lists.tasks import ListsError

SALES = [sale(f"s{n}", title=f"Sale {n}", price=10.0 * n, currency="EUR") for n in range(1, 13)]


def run_in(out: Path, **changed: object) -> ListRun:
    run = ListRun(
        data=out / "data",
        fingerprint="f1",
        bundle=out / "bundle",
        bundle_id="b1",
        out=out,
        at_us=5,
        top=12,
        policy=SlatePolicy(exploration=None),
        hide_disliked_days=30,
        n_explained=0,
        n_parts=2,
    )
    return replace(run, **changed)


def write_lists(run: ListRun) -> None:
    """Lists of twelve sales of c1, one of c2, and none but for a stranger elsewhere."""
    lists = {
        0: [("c1", n) for n in range(1, 13)],
        1: [("c2", 3)],
        STRANGERS: [(None, 1), (None, 2)],
    }
    for part, rows in lists.items():
        ranked = [
            (customer, "fr", None, rank, f"s{n}", 0.5, "meta", None)
            for rank, (customer, n) in enumerate(rows, start=1)
        ]
        run.result(part).parent.mkdir(parents=True, exist_ok=True)
        frame = pl.DataFrame(ranked, schema=LIST_COLUMNS, orient="row")
        frame.write_parquet(run.result(part))


def read_csv(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_customers_rows_and_lists_for_strangers_are_counted(tmp_path: Path) -> None:
    run = run_in(tmp_path)
    write_lists(run)

    assert summarised(run) == {"customers": 2, "rows": 13, "strangers": 1}


def test_a_damaged_file_is_named_and_what_to_remove(tmp_path: Path) -> None:
    run = run_in(tmp_path)
    write_lists(run)
    damaged = run.result(1)
    damaged.write_bytes(damaged.read_bytes()[:200])

    with pytest.raises(ListsError, match=rf"{damaged} is damaged: .*remove it and {tmp_path}"):
        summarised(run)

    (tmp_path / SUMMARY_FILE).write_bytes(b"{")
    with pytest.raises(ListsError, match=rf"{SUMMARY_FILE} is damaged: remove {tmp_path}"):
        is_complete(run)


def test_a_line_of_the_csv_has_ten_sales_of_a_customer(tmp_path: Path) -> None:
    run = run_in(tmp_path)
    write_lists(run)

    write_csv(run, SALES, path=tmp_path / "out.csv", link="https://shop.example/{sale_id}?a=1")

    head, first, second = read_csv(tmp_path / "out.csv")
    assert head[:6] == ["customer_id", "sale_1", "title_1", "price_1", "currency_1", "link_1"]
    assert len(head) == len(first) == len(second) == 51
    assert first[-5:] == ["s10", "Sale 10", "100.00", "EUR", "https://shop.example/s10?a=1"]
    assert second[:6] == ["c2", "s3", "Sale 3", "30.00", "EUR", "https://shop.example/s3?a=1"]
    assert set(second[6:]) == {""}


def test_links_and_fields_with_signs_of_their_own_are_quoted(tmp_path: Path) -> None:
    run = run_in(tmp_path, n_parts=1)
    odd = sale("a/b, c", title='Half "board", and more\nlines')
    rows = [("c,1", None, None, 1, "a/b, c", 0.5, "meta", None)]
    run.result(0).parent.mkdir(parents=True)
    pl.DataFrame(rows, schema=LIST_COLUMNS, orient="row").write_parquet(run.result(0))

    write_csv(run, [odd], path=tmp_path / "out.csv", link="x/{sale_id}")

    _, line = read_csv(tmp_path / "out.csv")
    assert line[:6] == ["c,1", "a/b, c", 'Half "board", and more\nlines', "", "", "x/a%2Fb%2C%20c"]


def test_the_customers_of_a_sale_are_those_of_all_parts(tmp_path: Path) -> None:
    run = run_in(tmp_path, sale_id="s1", top=3)
    for part, rows in enumerate([[("c1", 0.1), ("c2", 0.4)], [("c0", 0.1), ("c3", 0.2)]]):
        found = [(customer, None, probability) for customer, probability in rows]
        run.result(part).parent.mkdir(parents=True, exist_ok=True)
        frame = pl.DataFrame(found, schema=AUDIENCE_COLUMNS, orient="row")
        frame.write_parquet(run.result(part))

    summary = summarised(run)
    write_csv(run, SALES, path=tmp_path / "out.csv", link="")

    assert pl.read_parquet(tmp_path / AUDIENCE_FILE)["customer_id"].to_list() == ["c2", "c3", "c0"]
    assert (summary["customers"], summary["all_customers"]) == (3, 4)
    assert summary["expected_purchases"] == pytest.approx(0.7)
    assert summary["all_expected_purchases"] == pytest.approx(0.8)
    assert read_csv(tmp_path / "out.csv")[1] == ["c2", "0.4"]


def test_a_run_is_known_by_what_it_computes(tmp_path: Path) -> None:
    run = run_in(tmp_path)
    assert not is_complete(run)

    (tmp_path / "run.json").write_text(json.dumps(run.identity))
    assert not is_complete(run)
    assert unfinished_at_us(tmp_path) == 5
    with pytest.raises(ListsError, match=r"it differs in at_us, top"):
        is_complete(run_in(tmp_path, top=3, at_us=6))

    (tmp_path / "lists.json").write_text(json.dumps(run.identity | {"customers": 2}))
    assert is_complete(run)
    assert unfinished_at_us(tmp_path) is None


def test_two_runs_do_not_work_in_one_folder(tmp_path: Path) -> None:
    with alone(tmp_path), pytest.raises(ListsError, match="another run works"), alone(tmp_path):
        pass
