"""The commands, as a user runs them."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.scenes import write_backbone, write_pictures
from training.scenes.command import app


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("scenes")
    for name, seed in (("images", 5), ("test", 6)):
        write_pictures(root / name, n_each=8, rng=np.random.default_rng(seed))
    write_backbone(root)
    return root


def run(root: Path, *arguments: str, code: int = 0) -> tuple[str, str]:
    result = CliRunner().invoke(app, [one.format(root=root) for one in arguments])
    assert result.exit_code == code, result.output
    return result.stdout, result.stderr


TRAIN = [
    *("train", "--images", "{root}/images", "--out", "{root}/model", "--cache", "{root}/cache"),
    *("--backbone", "{root}/backbone.json"),
]


def test_train_and_label(root: Path) -> None:
    stdout, _ = run(root, *TRAIN, "--test", "{root}/test", "--json")
    figures = json.loads(stdout)

    assert figures["test"]["top1"] == figures["test"]["top5"] == 1.0
    assert figures["test"]["n"] == 24
    assert figures["validation"]["top1"] == 1.0
    assert figures["provider"] == "CPUExecutionProvider"

    (root / "test" / "red" / "broken.png").write_bytes(b"broken")
    stdout, _ = run(
        root, "label", "--model", "{root}/model", "--images", "{root}/test", "--top", "1", "--json"
    )
    labelled = json.loads(stdout)

    assert len(labelled["pictures"]) == 24
    for row in labelled["pictures"]:
        assert list(row["labels"]) == [Path(row["picture"]).parent.name]
    assert [fault["code"] for fault in labelled["faults"]] == ["picture_format"]


def test_test_pictures_that_cannot_be_decoded_are_named(root: Path, tmp_path: Path) -> None:
    write_pictures(tmp_path / "test", n_each=2, rng=np.random.default_rng(9))
    (tmp_path / "test" / "red" / "00.png").write_bytes(b"broken")

    stdout, stderr = run(root, *TRAIN, "--test", str(tmp_path / "test"))

    assert "test: top-1 1.000" in stdout
    assert "5 pictures" in stdout
    assert "00.png" in stderr
    assert "1 pictures left out" in stderr


def test_without_json_sentences_are_printed(root: Path) -> None:
    stdout, _ = run(root, *TRAIN)

    assert "validation: top-1 1.000" in stdout
    assert "computed on CPUExecutionProvider" in stdout


def test_validate_prints_one_object(root: Path) -> None:
    stdout, _ = run(
        root,
        *(["validate", "--images", "{root}/images", "--cache", "{root}/cache", "--folds", "2"]),
        *(["--backbone", "{root}/backbone.json", "--json"]),
    )

    found = json.loads(stdout)
    assert found["head"]["top1"]["value"] == 1.0
    assert found["baselines"]["logistic"]["figures"]["top5"]["value"] == 1.0
    assert found["baselines"]["plain_tuned"]["head_minus"]["top5"]["value"] == 0.0


def test_validate_writes_every_comparison(root: Path) -> None:
    stdout, _ = run(
        root,
        *(["validate", "--images", "{root}/images", "--cache", "{root}/cache", "--folds", "2"]),
        *(["--backbone", "{root}/backbone.json"]),
    )

    for metric in ("top1", "top5", "log_loss", "calibration_error"):
        assert f"{metric}: head " in stdout
        for name in ("logistic", "logistic_tuned", "plain_tuned"):
            assert f"{metric}: {name} " in stdout
    assert "unlike any known scene" in stdout


def test_pictures_without_labels_stop_training(root: Path, tmp_path: Path) -> None:
    _, stderr = run(root, "train", "--images", str(tmp_path), "--out", "{root}/none", code=1)

    assert "at least 2 labels are needed" in stderr
    assert not (root / "none").exists()


def test_a_partition_beside_the_pictures_splits_them(root: Path) -> None:
    """SUN397's partition files are used where they lie, and no test picture is trained on."""
    sun = root / "sun"
    write_pictures(sun, n_each=8, rng=np.random.default_rng(7))
    for name, numbers in (("Training_01.txt", range(6)), ("Testing_01.txt", range(6, 8))):
        lines = [f"/{colour}/{n:02d}.png" for colour in ("blue", "red") for n in numbers]
        (sun / name).write_text("\n".join(lines))

    stdout, _ = run(root, *TRAIN, "--images", "{root}/sun", "--out", "{root}/split", "--json")
    figures = json.loads(stdout)

    assert figures["labels"] == 2
    assert figures["test"]["n"] == 4
    # A fifth of 12 pictures is held back for validation.
    assert figures["validation"]["n"] == 3
