"""A list run from beginning to end: split, read, score, summarise. It goes on where one ended."""

import json
import shutil
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, cast

from filelock import FileLock, Timeout
from pydantic import JsonValue

from models.arrays.atomic_file import write_file
from models.catalogue.catalogue import Catalogue
from models.catalogue.snapshot import Snapshot
from models.dataset.event_split import Split, split_dataset
from models.dataset.list_folder import SUMMARY_FILE
from models.dataset.reading import Reference
from models.domain.event import from_us
from models.scoring.scorer import Scorer
from training.console import Progress
from training.lists.counts import PartCounts, sum_of_parts
from training.lists.list_run import ListRun, Shop
from training.lists.results import summarised
from training.lists.tasks import MAX_DEVICES, ListsError, prepare_part, score_part
from training.parts.workers import Workers
from training.scenes.picture_scores import pictures_of

RUN_FILE: Final = "run.json"
"""What an unfinished run computes."""


@contextmanager
def alone(out: Path) -> Generator[None]:
    """Keep other runs out of a directory; the lock goes with the process, however it ends.

    Raises:
        ListsError: If another run holds it.
    """
    out.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(out / ".lock", blocking=False):
            yield
    except Timeout as exc:
        msg = f"another run works in {out}: wait for its end"
        raise ListsError(msg) from exc


def unfinished_at_us(out: Path) -> int | None:
    """Return the moment of the unfinished run in a directory, None without one."""
    path = out / RUN_FILE
    if not path.exists() or (out / SUMMARY_FILE).exists():
        return None
    return int(cast("dict[str, int]", json.loads(path.read_bytes()))["at_us"])


def is_complete(run: ListRun) -> bool:
    """Tell whether a directory holds the results of a run.

    Raises:
        ListsError: If it holds those of another run, complete or not, or does not say of which.
    """
    for name in (SUMMARY_FILE, RUN_FILE):
        path = run.out / name
        if not path.exists():
            continue
        try:
            found = cast("dict[str, JsonValue]", json.loads(path.read_bytes()))
        except ValueError as exc:
            msg = f"{path} is damaged: remove {run.out}, and give the command again"
            raise ListsError(msg) from exc
        differing = [key for key, value in run.identity.items() if found.get(key) != value]
        if differing:
            msg = (
                f"{run.out} holds lists of another run (it differs in {', '.join(differing)}):"
                " choose another --out, or remove it"
            )
            raise ListsError(msg)
        return name == SUMMARY_FILE
    return False


def make_lists(
    run: ListRun,
    reference: Reference,
    *,
    scorer: Scorer,
    workers: Workers,
    cache: Path,
    progress: Progress,
) -> None:
    """Make the results of a run, or those that are missing.

    Args:
        run: What to compute.
        reference: The sales and customers of its dataset.
        scorer: The scorer of its bundle.
        workers: Workers, which see the files under the same paths.
        cache: Directory of picture scores.
        progress: Counts parts.

    Raises:
        DatasetError: If the dataset cannot be used.
        ListsError: If the sale is unknown or not open.
        WorkersError: If workers were lost.
        OSError: If a file cannot be written; give the command again then.
    """
    if run.policy.order_by not in scorer.policies:
        known = ", ".join(scorer.policies)
        msg = f"the plan orders by {run.policy.order_by!r}; {run.bundle_id} has {known}"
        raise ListsError(msg)
    write_file(run.out / RUN_FILE, json.dumps(run.identity, indent=1).encode())
    catalogue = _prepare(run, reference, scorer, cache=cache)
    if not run.split.exists():
        progress.stage("splitting")
        split_dataset(
            run.data,
            reference.customers,
            merges=reference.merges,
            folder=run.split,
            n_parts=run.n_parts,
        )
    if not run.counts.exists():
        progress.stage("reading", run.n_parts)
        workers.run(prepare_part, run, parts=range(run.n_parts), progress=progress)
        _write_counts(run, catalogue, scorer)
    missing = [part for part in run.parts if not run.result(part).exists()]
    progress.stage("scoring", len(missing))
    workers.run(score_part, run, parts=missing, progress=progress)
    n_refused = Shop.model_validate_json(run.shop.read_bytes()).n_refused
    summary = {"at": from_us(run.at_us).isoformat(), **run.identity, **summarised(run)}
    summary["events_left_out"] = n_refused
    write_file(run.out / SUMMARY_FILE, json.dumps(summary, indent=1).encode())
    _clear(run)


def _prepare(run: ListRun, reference: Reference, scorer: Scorer, *, cache: Path) -> Catalogue:
    """Write the sales with the scores of their pictures, as all workers read them."""
    pictures = pictures_of(scorer, run.bundle, images=reference.images, cache=cache)
    content = Snapshot.from_sales({one.sale_id: one for one in reference.sales}, pictures)
    catalogue = content.catalogue(scorer.topics)
    if run.sale_id is not None:
        _require_open(run.sale_id, catalogue, at_us=run.at_us)
    write_file(run.content, content.to_bytes())
    return catalogue


def _require_open(sale_id: str, catalogue: Catalogue, *, at_us: int) -> None:
    row = catalogue.row_for(sale_id)
    if row is None:
        msg = f"the dataset has no sale {sale_id!r}"
        raise ListsError(msg)
    if row not in catalogue.eligible(None, at_us):
        msg = f"sale {sale_id!r} is not open at {from_us(at_us).isoformat()}: choose another --at"
        raise ListsError(msg)


def _write_counts(run: ListRun, catalogue: Catalogue, scorer: Scorer) -> None:
    parts = [
        PartCounts.from_bytes(run.part_counts(part).read_bytes()) for part in range(run.n_parts)
    ]
    devices = sum((Counter(one.devices) for one in parts), Counter[str]())
    # By number, then by name: the same devices in any order of parts.
    ordered = sorted(devices, key=lambda device: (-devices[device], device))
    n_refused = sum(one.n_refused for one in parts) + Split.read(run.split).n_unreadable
    shop = Shop(devices=sorted(ordered[:MAX_DEVICES]), n_refused=n_refused)
    write_file(run.shop, shop.model_dump_json().encode())
    counts = sum_of_parts(
        (one.hourly for one in parts),
        at_us=run.at_us,
        n_sales=len(catalogue),
        half_lives=scorer.counts.half_lives,
    )
    write_file(run.counts, counts.to_bytes())


def _clear(run: ListRun) -> None:
    (run.out / RUN_FILE).unlink(missing_ok=True)
    shutil.rmtree(run.work, ignore_errors=True)
    # Workers that were killed while they wrote leave these.
    for partial in run.out.rglob(".*.partial"):
        partial.unlink(missing_ok=True)
