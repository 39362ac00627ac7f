"""Command ``python -m training scenes report``: the scene report as one HTML page."""

from pathlib import Path
from typing import Annotated

import typer

from models.dataset.reading import SCENES, read_dataset
from models.pictures.scene_labeller import PictureFault, SceneLabeller
from models.scoring.bundle import BundleError, read_bundle, resolve_bundle
from models.scoring.scorer import Scorer
from training.console import (
    BUNDLES,
    BundleId,
    Bundles,
    Data,
    Json,
    Progress,
    bars,
    exit_on_user_error,
    print_json,
    with_folder,
)
from training.report.block import Block, Paragraph
from training.report.page import page
from training.scenes.backbone import named_backbone
from training.scenes.layout import read_layout
from training.scenes.model import hold_back, labelled_features
from training.scenes.picture_features import FeatureExtractor
from training.scenes.picture_scores import score_pictures
from training.scenes.report import labeller_blocks, seen_sales, topic_blocks


def report(
    bundle: BundleId,
    data: Data,
    out: Annotated[
        Path, typer.Option(help="The page to write.", dir_okay=False, callback=with_folder)
    ],
    bundles: Bundles = BUNDLES,
    backbone: Annotated[
        str | None, typer.Option(help="Name or description; default: the bundle's.")
    ] = None,
    cache: Annotated[Path, typer.Option(help="Where features are kept.")] = Path("var/features"),
    threads: Annotated[int, typer.Option(help="Threads of the networks.", min=1)] = 1,
    as_json: Json = False,
) -> None:
    """Write a page on topics, their conversion, and the labeller on held-back pictures."""
    with exit_on_user_error(), bars() as progress:
        directory = resolve_bundle(bundle, bundles)
        loaded = read_bundle(directory)
        topics = Scorer.load(loaded).topics
        if not loaded.manifest.scene_model or not topics.n_topics:
            msg = f"bundle {loaded.id} was trained without pictures: it has no topics to report"
            raise BundleError(msg)
        dataset = read_dataset(data)
        progress.stage("pictures", len(dataset.pictures))
        labeller = SceneLabeller.open(directory, threads=threads)
        faults: list[PictureFault] = []
        tick, images = progress.tick, dataset.images
        pictures = score_pictures(
            images, labeller, cache=cache, threads=threads, faults=faults, tick=tick
        )
        summary = (
            f"Bundle {loaded.id} on {data.resolve().name}: {len(pictures)} sales with a "
            f"picture, {len(faults)} pictures that could not be read.",
            f"Its labeller ({labeller.description.backbone}, two trained layers) on labelled "
            f"pictures held back when it was trained: {labeller.description.validation}.",
        )
        blocks: list[Block] = [Paragraph(text) for text in summary]
        if pictures:
            seen = seen_sales(dataset, pictures, topics=topics)
            blocks += topic_blocks(dataset, seen, topics=topics)
        if (data / SCENES).is_dir():
            network = named_backbone(backbone or labeller.description.backbone)
            extractor = FeatureExtractor(network, cache, threads=threads)
            blocks += _labeller(data / SCENES, extractor, loaded.manifest.seed, progress)
        out.write_text(page(f"Scenes of bundle {loaded.id}", blocks), encoding="utf-8")
    if as_json:
        print_json({"report": str(out), "topics": topics.n_topics, "sales": len(pictures)})
        return
    typer.echo(f"report {out}")


def _labeller(
    scenes: Path, extractor: FeatureExtractor, seed: int, progress: Progress
) -> list[Block]:
    labelled = read_layout(scenes)
    progress.stage("features", len(labelled.paths))
    features = labelled_features(labelled, extractor, on_picture=progress.tick)
    progress.stage("head")
    return labeller_blocks(features, hold_back(features, seed))
