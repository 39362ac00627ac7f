import json
import re
from pathlib import Path

import polars as pl
import typer
from PIL import Image
from typer.testing import CliRunner

from training.simulator.command import simulate

app = typer.Typer()
app.command()(simulate)
RUNNER = CliRunner()


def _photographs(folder: Path) -> Path:
    for category in ("lake", "park"):
        (folder / category).mkdir(parents=True)
        for number in range(4):
            picture = Image.new("RGB", (40, 40), (60 * number, 90, 120))
            picture.save(folder / category / f"{number}.jpg")
    return folder


def test_a_world_of_photographs_is_described_by_one_json_object(tmp_path: Path) -> None:
    photos, out = _photographs(tmp_path / "photos"), tmp_path / "out"
    options = ["--customers", "20", "--days", "2", "--visits", "2", "--seed", "3", "--json"]
    where = ["--out", str(out), "--photos", str(photos), "--end", "2026-06-01T12:00:00"]

    result = RUNNER.invoke(app, [*where, *options])

    assert result.exit_code == 0
    summary = json.loads(result.stdout)
    assert summary["customers"] == 20
    assert summary["events"] == len(pl.read_parquet(out / "events.parquet"))
    assert {path.name for path in (out / "scenes").iterdir()} == {"lake", "park"}


def test_a_folder_that_holds_something_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("kept")

    result = RUNNER.invoke(app, ["--out", str(tmp_path)])

    assert result.exit_code == 2
    # The message is broken into lines of a frame, at places that depend on the folder's name.
    assert "is not empty" in " ".join(re.findall(r"[\w/.-]+", result.output))
    assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]
