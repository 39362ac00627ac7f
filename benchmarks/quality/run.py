"""Rankings of a bundle beside those of other libraries, on the same splits and metrics.

Question: a protocol of `training.evaluation`, on what was shown from ``--from`` on: a bundle that
was trained up to then, its recommenders and simple baselines, beside implicit's ALS, RecTools' EASE
and a plain LightGBM LambdaRank on seventeen features.

Method: ``make bench-quality BUNDLE=… DATA=… FROM=…``. Each peer runs in its own environment,
installed by hash from ``requirements/`` beside this file, reads and writes files only (see
`benchmarks.quality.files`), and its scores are judged by the code that judges every policy of the
bundle: paired differences, a bootstrap over customers, Holm.
"""

import subprocess
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Final

import typer

from benchmarks.environments import ENVIRONMENTS, environment
from benchmarks.quality.files import peer_scorer, write_lists, write_train
from benchmarks.results import write_result
from models.dataset.reading import read_dataset
from models.domain.event import to_us
from models.pictures.scene_labeller import SceneLabeller
from models.scoring.bundle import read_bundle
from models.scoring.scorer import Scorer
from tests.proofs import ROOT
from training.configuration import RunConfig
from training.console import aware, bars
from training.evaluation.evaluate import Question, evaluate, evaluator_of, open_visits, shown_lists
from training.evaluation.output import as_json, print_tables
from training.evaluation.protocol import Extra, Protocol
from training.scenes.picture_scores import score_pictures

HERE: Final = ROOT / "benchmarks" / "quality"
PEERS: Final = {
    "peer: implicit ALS": ("implicit", "als.py"),
    "peer: RecTools EASE": ("rectools", "ease.py"),
    "peer: LambdaRank": ("lambdarank", "lambdarank.py"),
}
"""Environment and script of each peer."""

TIMEOUT_S: Final = 900


def ask(peer: str, directory: Path, *, environments: Path, n_lists: int) -> Extra:
    """Let a peer score the lists of a directory."""
    name, script = PEERS[peer]
    python = environment(HERE / "requirements" / f"{name}.txt", environments)
    command = [python, HERE / "peers" / script, directory]
    subprocess.run(command, check=True, timeout=TIMEOUT_S)
    return peer_scorer(directory, n_lists)


def compare(
    bundle: Annotated[Path, typer.Option(help="Directory of a bundle trained up to --from.")],
    data: Annotated[Path, typer.Option(help="Dataset.", exists=True, file_okay=False)],
    start: Annotated[datetime, typer.Option("--from", help="The split, UTC.")],
    protocol: Annotated[Protocol, typer.Option(help="What is ranked.")] = Protocol.SHOWN,
    max_visits: Annotated[int, typer.Option(min=1, help="Visits of the protocol open.")] = 2_000,
    environments: Annotated[Path, typer.Option(help="Where peers are installed.")] = ENVIRONMENTS,
    cache: Annotated[Path, typer.Option(help="Picture scores.")] = Path("var"),
) -> None:
    """Print every scorer beside the peers, and write results/benchmarks/quality-….json."""
    loaded, dataset = read_bundle(bundle), read_dataset(data)
    pictures = {}
    if loaded.manifest.scene_model:
        pictures = score_pictures(dataset.images, SceneLabeller.open(bundle), cache=cache)
    moment = aware(start)
    question = Question(
        dataset=dataset,
        pictures=pictures,
        from_us=to_us(moment) if moment else 0,
        learned_until_us=to_us(datetime.fromisoformat(loaded.manifest.until)),
        max_visits=max_visits,
        config=RunConfig.model_validate(loaded.manifest.config),
        seed=0,
    )
    scorer = Scorer.load(loaded)
    evaluator, every = evaluator_of(scorer, question)
    slates = question.judged(every)
    lists = (
        shown_lists(evaluator, slates)
        if protocol == Protocol.SHOWN
        else open_visits(evaluator, slates, question=question)
    )
    with TemporaryDirectory() as name, bars() as progress:
        directory = Path(name)
        write_train(evaluator, question.from_us, directory)
        write_lists(evaluator, lists, protocol=protocol, directory=directory)
        extras = {
            peer: ask(peer, directory, environments=environments, n_lists=len(lists))
            for peer in PEERS
        }
        found = evaluate(
            scorer,
            question,
            progress=progress,
            extras={protocol.value: extras},
            protocols={protocol},
        )
    print_tables(found)
    write_result(f"quality-{data.name}-{protocol}", as_json(found))


if __name__ == "__main__":
    typer.run(compare)
