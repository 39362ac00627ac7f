"""Commands ``python -m training scenes``: train the labeller, and label pictures with it."""

import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import typer
from pydantic import BaseModel, JsonValue
from rich.console import Console
from rich.progress import Progress

from models.pictures.onnx import Provider
from models.pictures.scene_labeller import (
    LabelFigures,
    LabelledPictures,
    PictureFault,
    SceneLabeller,
    label_pictures,
)
from training.configuration import SceneNetwork
from training.console import Json, exit_on_user_error, print_json
from training.scenes.backbone import named_backbone
from training.scenes.layout import (
    TESTING_LISTS,
    TRAINING_LISTS,
    LabelledPaths,
    LayoutError,
    list_beside,
    read_layout,
    read_list,
)
from training.scenes.metric import label_figures
from training.scenes.model import (
    SceneModel,
    fit_scenes,
    labelled_features,
)
from training.scenes.picture_features import FeatureExtractor, n_plain_features
from training.scenes.report_command import report
from training.scenes.validation import N_GROUPS, validate_scenes

app = typer.Typer(name="scenes", help="The scene labeller.", no_args_is_help=True)
app.command()(report)

DEFAULT_CACHE = Path("var/features")

Images = Annotated[Path, typer.Option(help="Pictures.", exists=True, file_okay=False)]
ListFile = Annotated[
    Path | None,
    typer.Option(
        "--list",
        help="File list of the pictures: a SUN397 partition or a Places365 list. Default: "
        "Training_01.txt or places365_train_standard.txt below --images, if it lies there.",
        exists=True,
        dir_okay=False,
    ),
]
BackboneName = Annotated[
    str,
    typer.Option(
        help=f"The frozen network: {', '.join(SceneNetwork)}, or a file that describes another."
    ),
]
Seed = Annotated[int, typer.Option(help="Of the splits and the fits.")]
Cache = Annotated[Path, typer.Option(help="Where features are kept, by content.")]
Threads = Annotated[int, typer.Option(help="Threads of the network, and of decoding.", min=1)]


@app.command()
def train(
    images: Images,
    out: Annotated[Path, typer.Option(help="Directory of the model.")],
    test: Annotated[Path | None, typer.Option(help="Labelled pictures to judge by.")] = None,
    image_list: ListFile = None,
    test_list: Annotated[
        Path | None,
        typer.Option(
            help="File list of the pictures to judge by, below --test, or --images without it. "
            "Default: Testing_01.txt or places365_val.txt, if it lies there.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    backbone: BackboneName = SceneNetwork.LITE0,
    seed: Seed = 0,
    cache: Cache = DEFAULT_CACHE,
    threads: Threads = 1,
    provider: Annotated[Provider, typer.Option(help="Where to compute.")] = Provider.CPU,
    as_json: Json = False,
) -> None:
    """Train the two fully connected layers on labelled pictures, and write one ONNX file."""
    with exit_on_user_error():
        pictures = _read(images, image_list or list_beside(images, TRAINING_LISTS))
        network = named_backbone(backbone)
        with _bar("features", len(pictures.paths)) as advance:
            model = fit_scenes(
                pictures,
                seed=seed,
                cache=cache,
                backbone=network,
                provider=provider,
                threads=threads,
                on_picture=advance,
            )
        model.save(out)
        directory = test or images
        judged_list = test_list or list_beside(directory, TESTING_LISTS)
        judged = None
        if test is not None or judged_list is not None:
            judged = _judge(out, _read(directory, judged_list), threads)
    _report_training(model, judged, as_json=as_json)


@app.command()
def label(
    model: Annotated[Path, typer.Option(help="Directory of the model.", exists=True)],
    images: Images,
    top: Annotated[int, typer.Option(help="Labels a picture.", min=1)] = 3,
    threads: Threads = 1,
    as_json: Json = False,
) -> None:
    """Print the most probable labels of every picture below a directory."""
    with exit_on_user_error():
        labeller = SceneLabeller.open(model, threads=threads)
    paths = sorted(path for path in images.rglob("*") if path.is_file())
    labelled = _label(paths, labeller, threads)
    positions: list[int] = labelled.positions.tolist()
    rows: list[_LabelledPicture] = []
    for row, position in enumerate(positions):
        probabilities = labelled.scores.probabilities[row]
        best: list[int] = np.argsort(-probabilities, kind="stable")[:top].tolist()
        labels = {labeller.labels[one]: round(float(probabilities[one]), 4) for one in best}
        unlike = bool(labelled.scores.unlike[row])
        rows.append(_LabelledPicture(picture=str(paths[position]), labels=labels, unlike=unlike))
    if as_json:
        pictures: list[JsonValue] = [row.model_dump() for row in rows]
        print_json({"pictures": pictures, "faults": _faults(labelled.faults)})
        return
    for row in rows:
        typer.echo(row.sentence())
    _warn_of(labelled.faults)


class _LabelledPicture(BaseModel):
    picture: str
    labels: dict[str, float]
    unlike: bool

    def sentence(self) -> str:
        names = ", ".join(f"{name} {share:.0%}" for name, share in self.labels.items())
        return f"{self.picture}: {names}{' (unlike any known scene)' if self.unlike else ''}"


@app.command()
def validate(
    images: Images,
    image_list: ListFile = None,
    folds: Annotated[int, typer.Option(help="Folds of the cross-validation.", min=2)] = 5,
    backbone: BackboneName = SceneNetwork.LITE0,
    seed: Seed = 0,
    cache: Cache = DEFAULT_CACHE,
    threads: Threads = 1,
    as_json: Json = False,
) -> None:
    """Cross-validate the head, beside logistic regressions."""
    with exit_on_user_error():
        pictures = _read(images, image_list or list_beside(images, TRAINING_LISTS))
        network = named_backbone(backbone)
        extractor = FeatureExtractor(network, cache, threads=threads)
        with _bar("features", len(pictures.paths)) as advance:
            data = labelled_features(pictures, extractor, threads=threads, on_picture=advance)
    with _bar("fits", folds + N_GROUPS) as advance:
        validation = validate_scenes(
            data, n_plain=n_plain_features(network), n_folds=folds, seed=seed, on_fit=advance
        )
    if as_json:
        print_json(validation.model_dump())
        return
    for line in validation.lines():
        typer.echo(line)


def _read(directory: Path, file_list: Path | None) -> LabelledPaths:
    return read_layout(directory) if file_list is None else read_list(directory, file_list)


class _Judged(NamedTuple):
    figures: LabelFigures
    faults: tuple[PictureFault, ...]


def _judge(model: Path, pictures: LabelledPaths, threads: int) -> _Judged:
    labeller = SceneLabeller.open(model, threads=threads)
    unknown = sorted(set(pictures.labels) - set(labeller.labels))
    if unknown:
        msg = f"the test pictures have labels that were not trained: {', '.join(unknown)}"
        raise LayoutError(msg)
    labelled = _label(pictures.paths, labeller, threads)
    # The test pictures may have some of the trained labels only, so their numbers differ.
    columns = np.array([labeller.labels.index(name) for name in pictures.labels])
    targets = columns[pictures.targets[labelled.positions]]
    if not len(targets):
        msg = "none of the test pictures can be decoded"
        raise LayoutError(msg)
    return _Judged(label_figures(labelled.scores.probabilities, targets), labelled.faults)


def _label(paths: Sequence[Path], labeller: SceneLabeller, threads: int) -> LabelledPictures:
    with _bar("labels", len(paths)) as advance:
        return label_pictures(paths, labeller, threads=threads, on_picture=advance)


def _report_training(model: SceneModel, judged: _Judged | None, *, as_json: bool) -> None:
    figures = {"validation": model.description.validation}
    faults = model.faults
    if judged is not None:
        figures["test"] = judged.figures
        faults += judged.faults
    if as_json:
        print_json(
            {
                **{name: one.model_dump() for name, one in figures.items()},
                "labels": len(model.description.labels),
                "provider": model.provider,
                "faults": _faults(faults),
            }
        )
        return
    for name, one in figures.items():
        typer.echo(f"{name}: {one}")
    typer.echo(f"computed on {model.provider}")
    _warn_of(faults)


def _faults(faults: Sequence[PictureFault]) -> list[JsonValue]:
    return [
        {"picture": str(fault.path), "code": fault.code, "message": fault.message}
        for fault in faults
    ]


def _warn_of(faults: Sequence[PictureFault]) -> None:
    for fault in faults:
        typer.echo(f"{fault.path}: {fault.message}", err=True)
    if faults:
        typer.echo(f"{len(faults)} pictures left out", err=True)


@contextmanager
def _bar(what: str, total: int) -> Generator[Callable[[], None]]:
    with Progress(console=Console(file=sys.stderr), transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda: progress.advance(task)
