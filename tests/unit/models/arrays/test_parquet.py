"""Files are read by their names, with any characters in the path."""

from pathlib import Path

import polars as pl
import pytest

from models.arrays.parquet import read_parquet, scan_parquet

ODD = ["shop [1]", "shop*", "shop?", "100%20", "a#b", "{a,b}", "-shop", "~shop", "été", "day=1"]
FRAME = pl.DataFrame({"a": [1]})


def written(path: Path) -> Path:
    path.parent.mkdir()
    with path.open("wb") as file:
        FRAME.write_parquet(file)
    return path


@pytest.mark.parametrize("name", ODD)
def test_a_path_is_taken_letter_by_letter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = written(Path(name) / "part-1.parquet")

    assert read_parquet(path).equals(FRAME)
    assert scan_parquet([path, path]).collect().equals(pl.concat([FRAME, FRAME]))


def test_a_star_reads_no_other_folder(tmp_path: Path) -> None:
    starred = written(tmp_path / "shop*" / "part.parquet")
    written(tmp_path / "shop-of-others" / "part.parquet")

    assert scan_parquet([starred]).collect().height == 1


def test_files_of_earlier_versions_lack_columns_and_fields(tmp_path: Path) -> None:
    """Rows of pages, within lists of structs, have got fields."""
    paths = tmp_path / "earlier.parquet", tmp_path / "now.parquet"
    row = {"row": {"name": "a"}, "n_items": 1}
    pl.DataFrame({"rows": [[row]]}).write_parquet(paths[0])
    ruled = {"row": {"name": "b", "rules": "[]"}, "n_items": 2}
    pl.DataFrame({"rows": [[ruled]], "covers": ["c"]}).write_parquet(paths[1])

    found = scan_parquet(paths).collect()

    assert found["rows"].to_list() == [
        [{"row": {"name": "a", "rules": None}, "n_items": 1}],
        [ruled],
    ]
    assert found["covers"].to_list() == [None, "c"]
