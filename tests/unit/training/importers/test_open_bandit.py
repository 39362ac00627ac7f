"""Each log in a folder of its own, as the data set is published."""

from pathlib import Path

import numpy as np
import pytest

from training.importers.open_bandit import BanditLogError, read_bandit_log

HEAD = ",timestamp,item_id,position,click,propensity_score,user_feature_0"


def write(root: Path, *rows: str, head: str = HEAD) -> Path:
    folder = root / "bts" / "men"
    folder.mkdir(parents=True)
    (folder / "men.csv").write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return root


def test_a_log_is_read_by_the_names_of_its_columns(tmp_path: Path) -> None:
    write(tmp_path, "0,2019-11-24,14,3,0,0.25,u", "1,2019-11-24,2,1,1,1.0,u")

    log = read_bandit_log(tmp_path, policy="bts", campaign="men")

    np.testing.assert_array_equal(log.items, [14, 2])
    np.testing.assert_array_equal(log.positions, [3, 1])
    np.testing.assert_array_equal(log.clicks, [0.0, 1.0])
    np.testing.assert_array_equal(log.propensities, [0.25, 1.0])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1,t,14,3,0,0.0,u", "line 3: propensity_score cannot be 0.0"),
        ("1,t,14,3,2,0.5,u", "line 3: click cannot be 2"),
        ("1,t,14,0,0,0.5,u", "line 3: position cannot be 0"),
        ("1,t,,3,0,0.5,u", "line 3: item_id cannot be None"),
        ("1,t,14,3,x,0.5,u", r"men\.csv"),
    ],
)
def test_what_cannot_be_is_refused_by_its_line(tmp_path: Path, row: str, message: str) -> None:
    write(tmp_path, "0,t,14,3,0,0.25,u", row)

    with pytest.raises(BanditLogError, match=message):
        read_bandit_log(tmp_path, policy="bts", campaign="men")


def test_a_missing_log_is_named(tmp_path: Path) -> None:
    with pytest.raises(BanditLogError, match=r"random/women/women\.csv\.gz is missing"):
        read_bandit_log(tmp_path, policy="random", campaign="women")


def test_another_table_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "1,2", head="a,b")

    with pytest.raises(BanditLogError, match=r"men\.csv"):
        read_bandit_log(tmp_path, policy="bts", campaign="men")
