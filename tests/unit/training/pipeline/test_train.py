"""A run is reproducible, and does with what a dataset has."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from models.pictures.scene_labeller import DESCRIPTION_FILE, SceneDescription
from models.recommenders.registry import RECOMMENDERS
from models.scoring.bundle import read_bundle
from models.scoring.scorer import Scorer
from tests.datasets import sale, write_dataset
from tests.logs import DAY
from tests.scenes import write_pictures
from tests.worlds import END_US, Silent, train_bundle
from training.configuration import RunConfig, SceneNetwork, TrainingOptions
from training.examples.customer_sample import in_sample
from training.pipeline.prepare import DataOptions, prepare
from training.pipeline.train import assemble, train
from training.pipeline.training_data import cut


def test_one_seed_and_one_dataset_give_one_bundle_byte_for_byte(
    tiny_bundle: tuple[Path, Path], picture_cache: Path, tmp_path: Path
) -> None:
    """However many threads compute it, and whether features are in memory or in files."""
    bundle, data = tiny_bundle
    scratch = tmp_path / "scratch"

    again = train_bundle(data, tmp_path, cache=picture_cache, threads=2, scratch=scratch)

    assert again.name == bundle.name
    assert read_bundle(again).files == read_bundle(bundle).files
    assert list(scratch.iterdir()) == []


def test_workers_that_take_parts_of_the_customers_make_the_same_bundle(
    tiny_bundle: tuple[Path, Path], picture_cache: Path, tmp_path: Path
) -> None:
    bundle, data = tiny_bundle
    options = TrainingOptions(
        config=RunConfig(), scratch=tmp_path / "scratch", n_parts=5, n_processes=2
    )
    source = DataOptions(directory=data, cache=picture_cache, strict=True)
    material = prepare(source, options, progress=Silent())

    made = train(material, options, root=tmp_path, progress=Silent())

    assert read_bundle(made).files == read_bundle(bundle).files
    assert list((tmp_path / "scratch").iterdir()) == []


def test_another_seed_or_other_data_give_another_bundle(
    tiny_bundle: tuple[Path, Path], picture_cache: Path, tmp_path: Path
) -> None:
    bundle, data = tiny_bundle
    source = DataOptions(directory=data, cache=picture_cache, strict=True)
    material = prepare(source, TrainingOptions(config=RunConfig()), progress=Silent())
    earlier = replace(material, dataset=cut(material.dataset, END_US - DAY))

    others = {
        train(
            part,
            TrainingOptions(config=RunConfig(), seed=seed),
            root=tmp_path,
            progress=Silent(),
        ).name
        for part, seed in ((material, 1), (earlier, 0))
    }

    assert len(others | {bundle.name}) == 3


def test_a_sample_of_customers_is_learned_from_with_the_features_of_all(
    tiny_world: Path, picture_cache: Path
) -> None:
    """Counts and recommenders are of all customers: a sample of events would halve them."""
    material = prepare(
        DataOptions(directory=tiny_world, cache=picture_cache, strict=True),
        TrainingOptions(config=RunConfig()),
        progress=Silent(),
    )
    whole, half = (
        assemble(
            material,
            TrainingOptions(config=RunConfig(sample=share, hidden_share=0.0)),
            progress=Silent(),
        )
        for share in (1.0, 0.5)
    )

    is_in = in_sample(whole.past.events.customers.values, 0.5)[whole.slates.customers]
    assert 0 < is_in.sum() < len(is_in)
    np.testing.assert_array_equal(half.slates.now_us, whole.slates.now_us[is_in])
    entries = np.repeat(is_in, np.diff(whole.slates.starts))
    np.testing.assert_array_equal(half.matrix, whole.matrix[entries])


@pytest.mark.parametrize("network", SceneNetwork)
def test_pictures_are_labelled_by_the_network_of_the_configuration(
    network: SceneNetwork, tmp_path: Path, rng: np.random.Generator
) -> None:
    data = write_dataset(tmp_path / "data", sales=[sale(image="one.png")])
    scenes = write_pictures(data / "scenes", n_each=2, rng=rng)
    (data / "images").mkdir()
    shutil.copy(scenes / "red" / "00.png", data / "images" / "one.png")
    options = TrainingOptions(config=RunConfig(scene_network=network))

    found = prepare(DataOptions(directory=data, cache=tmp_path), options, progress=Silent())

    assert found.scenes is not None
    described = SceneDescription.model_validate_json(found.scenes.files[DESCRIPTION_FILE])
    assert described.backbone == network
    assert described.labels[found.pictures["s1"].probabilities.argmax()] == "red"


def test_a_bundle_scores_as_it_did_in_training(tiny_bundle: tuple[Path, Path]) -> None:
    """Golden rows are recomputed at load; an unknown visitor sees every open sale."""
    scorer = Scorer.load(read_bundle(tiny_bundle[0]))

    meta = ("meta", "meta-revenue", "meta-margin")
    # Hardly anyone buys a trip twice, and no sale is open for more than 14 days.
    lacks = {"buy_again", "bestsellers"}
    with_data = [name for name in RECOMMENDERS if name not in lacks]
    assert scorer.policies == (*meta, "logistic", *with_data)
    assert read_bundle(tiny_bundle[0]).manifest.left_out.keys() == lacks
    assert scorer.pictures.keys() == {sale.sale_id for sale in scorer.snapshot.sales}


def test_a_bundle_says_what_its_scores_and_features_were_like(
    tiny_bundle: tuple[Path, Path],
) -> None:
    """All sales of the world have a price, and no request of it brought a list of its own."""
    scorer = Scorer.load(read_bundle(tiny_bundle[0]))

    reference = scorer.drift_baseline
    assert reference is not None
    missing = dict(zip(scorer.schema.names, reference.missing.tolist(), strict=True))
    assert reference.shares.sum() == pytest.approx(1.0)
    assert reference.shares.min() > 0
    assert missing["sale_price"] == 0.0
    assert {share for name, share in missing.items() if name.startswith("list_")} == {1.0}


def test_a_bundle_holds_no_ids_of_customers(tiny_bundle: tuple[Path, Path]) -> None:
    bundle, data = tiny_bundle
    customers = pl.read_parquet(data / "customers.parquet")["customer_id"].to_list()

    for name, content in read_bundle(bundle).files.items():
        assert not [customer for customer in customers if customer.encode() in content], name


def test_topics_and_vectors_come_from_pictures_that_were_seen(
    tiny_bundle: tuple[Path, Path],
) -> None:
    scorer = Scorer.load(read_bundle(tiny_bundle[0]))
    catalogue = scorer.seed_catalogue()

    lengths = np.linalg.norm(catalogue.embeddings, axis=1)
    assert lengths == pytest.approx(np.ones(len(catalogue)), abs=1e-5)
    assert catalogue.topics.sum(axis=1) == pytest.approx(np.ones(len(catalogue)), abs=1e-5)
