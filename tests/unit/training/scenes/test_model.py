"""From labelled pictures to a model on disk."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.pictures.onnx import open_session
from models.pictures.picture import decode
from models.pictures.scene_labeller import SceneLabeller, SceneScores, label_pictures
from tests.scenes import write_backbone, write_pictures
from training.configuration import SceneNetwork
from training.scenes.backbone import efficientnet_backbone, named_backbone, read_backbone
from training.scenes.graph import scene_graph
from training.scenes.head import softmax
from training.scenes.layout import read_layout
from training.scenes.model import (
    FALSE_ALARM_RATE,
    SceneModel,
    SceneTrainingError,
    best_temperature,
    fit_scenes,
    labelled_features,
    unlike_threshold,
)
from training.scenes.picture_features import FeatureExtractor, n_plain_features
from training.scenes.validation import validate_scenes


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("scenes")
    write_pictures(root / "pictures", n_each=15, rng=np.random.default_rng(8))
    write_backbone(root)
    return root


@pytest.fixture(scope="module")
def model(root: Path) -> SceneModel:
    return fit(root, seed=2)


def fit(root: Path, *, seed: int) -> SceneModel:
    return fit_scenes(
        read_layout(root / "pictures"),
        seed=seed,
        cache=root / "cache",
        backbone=read_backbone(root / "backbone.json"),
    )


def test_the_graph_computes_what_the_head_computes(root: Path, model: SceneModel) -> None:
    backbone = read_backbone(root / "backbone.json")
    path = read_layout(root / "pictures").paths[0]
    views = FeatureExtractor(backbone, root / "cache").extract([path]).views
    session = open_session(scene_graph(backbone, model.head).SerializeToString())

    outputs = session.run({"pictures": decode(path.read_bytes(), backbone.frame)[None]})

    features = views[:, 0]
    expected = {
        "probabilities": softmax(model.head.logits(features)),
        "embeddings": model.head.embeddings(features),
        "unlikeness": model.head.unlikeness(features),
    }
    assert {name: value.shape for name, value in outputs.items()} == {
        name: value.shape for name, value in expected.items()
    }
    for name, value in expected.items():
        np.testing.assert_allclose(outputs[name].astype(np.float32), value, rtol=1e-3, atol=1e-5)


def test_colours_are_recognised_on_the_held_back_fifth(model: SceneModel) -> None:
    assert model.description.validation.n == 9
    assert model.description.validation.top1 == 1.0


def test_the_same_seed_writes_the_same_bytes(root: Path, model: SceneModel, tmp_path: Path) -> None:
    model.save(tmp_path / "one")
    fit(root, seed=2).save(tmp_path / "two")

    for name in ("scenes.onnx", "scenes.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    opened = SceneLabeller.open(tmp_path / "one")
    assert opened.labels == ("blue", "green", "red")
    assert opened.description.validation == model.description.validation


def test_a_label_that_cannot_be_decoded_is_named(root: Path, tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures", n_each=3, rng=np.random.default_rng(1))
    for path in sorted((tmp_path / "pictures" / "green").iterdir())[1:]:
        path.write_bytes(b"broken")
    extractor = FeatureExtractor(read_backbone(root / "backbone.json"), tmp_path)

    with pytest.raises(SceneTrainingError, match="label 'green' has 1 pictures"):
        labelled_features(read_layout(tmp_path / "pictures"), extractor)


def test_the_temperature_of_overconfident_logits_is_found(rng: np.random.Generator) -> None:
    """Labels are drawn from the softmax of logits that are then made three times too sure."""
    honest = rng.normal(0, 2, (20_000, 4)).astype(np.float32)
    draws = softmax(honest).cumsum(axis=1) > rng.random((len(honest), 1))
    targets = np.minimum(draws.argmax(axis=1), 3)

    assert best_temperature(3 * honest, targets) == pytest.approx(3, rel=0.05)


def test_few_recognised_pictures_do_not_make_the_labeller_sure() -> None:
    logits = np.array([[9, 0], [0, 9], [9, 0]], dtype=np.float32)

    temperature = best_temperature(logits, np.array([0, 1, 0]))

    # Right with probability 4/5, of which the logit is ln 4.
    assert 9 / temperature == pytest.approx(np.log(4), rel=1e-2)


def test_known_scenes_exceed_the_threshold_at_the_promised_rate(rng: np.random.Generator) -> None:
    unlikeness = rng.random(1_000).astype(np.float32)

    alarms = (unlikeness > unlike_threshold(unlikeness)).mean()

    assert alarms == pytest.approx(FALSE_ALARM_RATE, abs=2e-3)


def test_validation_reports_head_and_baselines_with_intervals(root: Path) -> None:
    """The vectors alone tell the colours apart, and so do all features."""
    backbone = read_backbone(root / "backbone.json")
    extractor = FeatureExtractor(backbone, root / "cache")
    data = labelled_features(read_layout(root / "pictures"), extractor)

    found = validate_scenes(data, n_plain=n_plain_features(backbone), n_folds=3, seed=0)

    assert list(found.baselines) == ["logistic", "logistic_tuned", "plain_tuned"]
    assert found.head["top1"].value == 1.0
    for beside in found.baselines.values():
        assert beside.figures["top1"].value == 1.0
        assert beside.head_minus["top1"].value == 0.0
        for metric, more in beside.head_minus.items():
            assert more.value == found.head[metric].value - beside.figures[metric].value
    assert found.head["log_loss"].low < found.head["log_loss"].value < found.head["log_loss"].high
    assert 0 <= found.unlike.detected <= 1


def test_plain_features_alone_are_worse_where_they_say_nothing(root: Path) -> None:
    """The first column is noise: the regression on it guesses, the one on all columns knows."""
    extractor = FeatureExtractor(read_backbone(root / "backbone.json"), root / "cache")
    data = labelled_features(read_layout(root / "pictures"), extractor)
    noise = np.random.default_rng(4).normal(size=(*data.views.shape[:2], 1)).astype(np.float32)
    noisy = replace(data, views=np.concatenate([noise, data.views], axis=2))

    found = validate_scenes(noisy, n_plain=1, n_folds=3, seed=0)

    assert found.baselines["plain_tuned"].figures["top1"].value < 0.7
    assert found.baselines["plain_tuned"].head_minus["top1"].low > 0.2


def test_plain_features_are_those_of_the_first_statistic(root: Path) -> None:
    """The test network's first output is a map of three channels, its default a last layer."""
    assert n_plain_features(read_backbone(root / "backbone.json")) == 3
    assert n_plain_features(efficientnet_backbone()) == 1280


def test_networks_are_told_apart_and_never_share_cached_features(tmp_path: Path) -> None:
    backbones = [named_backbone(name) for name in SceneNetwork]
    write_pictures(tmp_path / "pictures", n_each=1, rng=np.random.default_rng(0))
    path = next((tmp_path / "pictures").rglob("*.png"))

    for backbone in backbones:
        FeatureExtractor(backbone, tmp_path / "cache").extract([path])

    assert [one.description.name for one in backbones] == [
        "efficientnet-lite0",
        "efficientnet-lite2",
    ]
    shapes = sorted(np.load(path).shape for path in (tmp_path / "cache").rglob("*.npy"))
    assert shapes == [(2, 2976), (2, 3136)]


def scores_of(labeller: SceneLabeller, directory: Path) -> SceneScores:
    return label_pictures(read_layout(directory).paths, labeller).scores


@pytest.mark.parametrize(("n_moved", "sure", "give"), [(0, 91 / 92, 0.01), (50, 2 / 3, 0.05)])
def test_a_labeller_is_as_sure_as_it_was_right_in_training(
    tmp_path: Path, *, n_moved: int, sure: float, give: float
) -> None:
    """It was right of all 90 held-back pictures, or a third of each label lay in a wrong folder."""
    pictures = write_pictures(tmp_path / "pictures", n_each=150, rng=np.random.default_rng(8))
    names = sorted(folder.name for folder in pictures.iterdir())
    for name, other in zip(names, [*names[1:], names[0]], strict=True):
        for path in sorted((pictures / name).glob("[0-9]*.png"))[:n_moved]:
            path.rename(pictures / other / f"moved-{path.name}")
    write_backbone(tmp_path)
    fit(tmp_path, seed=1).save(tmp_path / "model")
    new = write_pictures(tmp_path / "new", n_each=30, rng=np.random.default_rng(9))

    said = scores_of(SceneLabeller.open(tmp_path / "model"), new).probabilities.max(axis=1)

    assert said.mean() == pytest.approx(sure, abs=give)


def test_known_scenes_seldom_raise_an_alarm_and_strange_ones_do(
    model: SceneModel, tmp_path: Path
) -> None:
    """White, black and yellow are between or beyond blue, green and red."""
    model.save(tmp_path / "model")
    labeller = SceneLabeller.open(tmp_path / "model")
    known = write_pictures(tmp_path / "known", n_each=60, rng=np.random.default_rng(10))
    colours = {"black": (20, 20, 20), "white": (235, 235, 235), "yellow": (200, 190, 30)}
    strange = write_pictures(
        tmp_path / "strange", n_each=20, rng=np.random.default_rng(11), colours=colours
    )

    alarms = scores_of(labeller, known).unlike.mean()
    detected = scores_of(labeller, strange).unlike.mean()

    assert alarms < 0.2
    assert detected > 0.9
