"""Folders of lists are read whole or refused."""

import json
from pathlib import Path

import polars as pl
import pytest

from models.dataset.list_folder import ListFolder, ListFolderError

SUMMARY = {
    "format": 1,
    "bundle": "b1",
    "at_us": 5,
    "parts": 2,
    "customers": 3,
    "sale": None,
}


def write(folder: Path, **changed: object) -> Path:
    (folder / "parts").mkdir(parents=True)
    for part, customers in enumerate((["c1", "c1", "c2"], ["c3"])):
        ranks = [1, 2, 1][: len(customers)]
        sales = [f"s{rank}-{customer}" for rank, customer in zip(ranks, customers, strict=True)]
        columns = {"customer_id": customers, "rank": ranks, "sale_id": sales}
        pl.DataFrame(columns).write_parquet(folder / "parts" / f"{part:05}.parquet")
    (folder / "lists.json").write_text(json.dumps({**SUMMARY, **changed}))
    return folder


def test_lists_are_read_part_by_part_by_rank(tmp_path: Path) -> None:
    folder = ListFolder.read(write(tmp_path))

    parts = [frame.rows() for frame in folder.parts(top=5)]

    assert (folder.bundle_id, folder.at_us, folder.n_customers) == ("b1", 5, 3)
    assert parts == [[("c1", ["s1-c1", "s2-c1"]), ("c2", ["s1-c2"])], [("c3", ["s1-c3"])]]
    assert next(folder.parts(top=1)).rows() == [("c1", ["s1-c1"]), ("c2", ["s1-c2"])]


def test_a_folder_without_a_summary_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path)
    (folder / "lists.json").unlink()

    with pytest.raises(ListFolderError, match="holds no complete lists"):
        ListFolder.read(folder)


def test_another_format_and_the_customers_of_a_sale_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ListFolderError, match="is of format 2"):
        ListFolder.read(write(tmp_path / "format", format=2))
    with pytest.raises(ListFolderError, match="holds the customers of sale 's1'"):
        ListFolder.read(write(tmp_path / "sale", sale="s1"))


def test_a_part_that_is_broken_is_named(tmp_path: Path) -> None:
    folder = write(tmp_path)
    (folder / "parts" / "00001.parquet").write_bytes(b"half")

    with pytest.raises(ListFolderError, match=r"00001\.parquet cannot be read as lists"):
        list(ListFolder.read(folder).parts(top=5))
