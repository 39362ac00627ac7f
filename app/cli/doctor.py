"""``python -m app doctor``: checks of everything that serving needs, each with advice."""

import asyncio
import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from tempfile import TemporaryFile
from typing import Final

import typer

from app.bundles.bundle_repository import scene_labeller
from app.catalogue.snapshot_archive import STATE_ADVICE
from app.cli.console import JsonOption, RedisUrlOption, exit_on_user_error, read_settings, store_url
from app.cli.finding import Finding, Verdict
from app.cli.store_checks import store_findings
from app.experiments.plan_file import first_plan
from app.observability import configure_logging
from app.security.key_ring import read_keys
from app.settings import Settings
from models.domain.errors import UserError
from models.domain.units import DAY_S
from models.experiments.analysis.exploration_price import exploration_price
from models.experiments.exposure import COST, FILE, ExposureError, read_exposures
from models.kernel.library import kernel
from models.neighbours.search import Device, is_built_for_gpu, search_device
from models.pictures.onnx import Provider, listed_providers
from models.scoring.bundle import read_bundle, resolve_bundle
from models.scoring.scorer import Scorer

# Age of training data at which doctor warns; chosen, not measured.
OLD_DAYS: Final = 7.0
# Chosen: below it, 30 days of snapshots of a large shop may not fit.
LITTLE_DISK_BYTES: Final = 1_000_000_000
# A catalogue of 100,000 sales with its counts.
LEAST_DISK_BYTES: Final = 16_000_000
GB: Final = 1e9
MB: Final = 1e6
WORLD_WRITABLE: Final = 0o002
NO_GPU: Final = (
    "check by nvidia-smi that a GPU and its driver are there, and that the CUDA packages are those"
    " of requirements/service-gpu.txt; or install requirements/service-cpu.txt"
)


def doctor_command(*, redis_url: RedisUrlOption = None, as_json: JsonOption = False) -> None:
    """Look at everything that serving needs, and say what to do; ends with 1 if it cannot serve."""
    settings = read_settings(redis_url=redis_url)
    configure_logging("error")
    with exit_on_user_error(), store_url(settings) as url:
        findings = examine(settings, url)
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings]))
    else:
        for one in findings:
            advice = f": {one.advice}" if one.advice else ""
            typer.echo(f"{one.verdict:8} {one.subject}: {one.seen}{advice}")
    if any(finding.verdict is Verdict.FAILURE for finding in findings):
        raise typer.Exit(1)


def examine(settings: Settings, store_url: str) -> list[Finding]:
    """Check everything that serving needs; a check that cannot run is a finding too."""
    is_open = settings.open_to_network and settings.keys is None
    return [
        *asyncio.run(store_findings(store_url, settings)),
        *_bundle(settings),
        *_kernel(),
        search_finding(search_device(), built_for_gpu=is_built_for_gpu()),
        _keys(settings),
        _plan(settings),
        exploration_finding(settings),
        Finding.checked(
            "network",
            f"listens on {settings.host}, open to all callers, without keys"
            if is_open
            else f"listens on {settings.host}",
            is_ok=not is_open,
            advice="make keys (docs/security.md), or let only your own machines reach the port",
        ),
        disk_finding(settings),
    ]


def _bundle(settings: Settings) -> Iterator[Finding]:
    # With CUDA wherever onnxruntime was built for it: if it then labels on the CPU, a GPU is
    # missing that this machine was set up for.
    best = Provider.CUDA if Provider.CUDA in listed_providers() else Provider.CPU
    try:
        bundle = read_bundle(resolve_bundle(settings.bundle, settings.bundles))
        scorer = Scorer.load(bundle)
        labeller = scene_labeller(bundle, provider=best)
    except (UserError, OSError) as exc:
        advice = "copy an intact one there from the machine that trains"
        yield Finding("bundle", Verdict.FAILURE, str(exc), advice)
        return
    yield Finding("bundle", Verdict.OK, f"{scorer.bundle_id} is whole and reproduces its scores")
    until = datetime.fromisoformat(bundle.manifest.until)
    days = (datetime.now(UTC) - until).total_seconds() / DAY_S
    yield Finding.checked(
        "bundle age",
        f"its training data ended {days:.1f} days ago",
        is_ok=days <= OLD_DAYS,
        advice="export events, train and activate: the bundle knows newer sales only by their"
        " pictures",
    )
    if labeller is None:
        yield Finding("pictures", Verdict.WARNING, "the bundle labels no pictures")
    else:
        yield provider_finding(asked=best, got=labeller.provider)


def provider_finding(*, asked: Provider, got: Provider) -> Finding:
    """Check the provider that labels pictures."""
    if got is asked:
        return Finding("pictures", Verdict.OK, f"onnxruntime labels them on {got.value}")
    seen = f"onnxruntime was asked for {asked.value} and got {got.value}"
    return Finding("pictures", Verdict.WARNING, seen, NO_GPU)


def _kernel() -> Iterator[Finding]:
    try:
        kernel()
    except OSError as exc:
        advice = "install gcc, or run `make kernel`, and restart the service"
        yield Finding("kernel", Verdict.FAILURE, str(exc), advice)
    else:
        yield Finding("kernel", Verdict.OK, "built for this machine")


def search_finding(got: Device, *, built_for_gpu: bool) -> Finding:
    """Check the device of large neighbour searches."""
    seen = f"faiss searches on {got.value}"
    if got is Device.CUDA or not built_for_gpu:
        return Finding("search", Verdict.OK, seen)
    return Finding("search", Verdict.WARNING, f"{seen}, though it is built for a GPU", NO_GPU)


def _keys(settings: Settings) -> Finding:
    if settings.keys is None:
        seen = "none: any caller that reaches the port may do everything"
        return Finding("keys", Verdict.OK, seen)
    try:
        n_keys = len(read_keys(settings.keys).keys)
    except UserError as exc:
        advice = "make keys with `python -m app keys new`, or correct VITRINE_KEYS"
        return Finding("keys", Verdict.FAILURE, str(exc), advice)
    if settings.keys.stat().st_mode & WORLD_WRITABLE:
        advice = f"chmod 600 {settings.keys}: any user of this machine could add a key"
        return Finding("keys", Verdict.FAILURE, "their file is writable by every user", advice)
    return Finding("keys", Verdict.OK, f"{n_keys} keys in {settings.keys}")


def exploration_finding(settings: Settings) -> Finding:
    """Say how many answers are drawn, and what that is expected to cost by the exported ones."""
    share = f"{settings.explored_share:.1%} of answers are drawn, unless their policy says its own"
    if settings.exports is None or not (settings.exports / FILE).is_file():
        seen = f"{share}; below VITRINE_EXPORTS are no answers that say what this costs"
        return Finding("exploration", Verdict.OK, seen)
    try:
        answers = read_exposures(settings.exports, [], optional=[COST])
    except ExposureError as exc:
        advice = "run `python -m app export-events`, or correct VITRINE_EXPORTS"
        return Finding("exploration", Verdict.WARNING, str(exc), advice)
    price = exploration_price(answers) if COST in answers.columns else None
    if price is None:
        return Finding("exploration", Verdict.OK, f"{share}; no exported answer says what it costs")
    seen = (
        f"{share}; it changed {price.answers:,} of {answers.height:,} exported answers, and is"
        f" expected to cost {price.lost_per_1000:.3g} purchases or clicks in 1,000 answers"
    )
    return Finding("exploration", Verdict.OK, seen)


def _plan(settings: Settings) -> Finding:
    try:
        n_experiments = len(first_plan(settings.plan).plan.experiments)
    except UserError as exc:
        advice = "correct it, or unset VITRINE_PLAN; docs/experiments.md has the form"
        return Finding("plan", Verdict.FAILURE, str(exc), advice)
    where = f"in {settings.plan}" if settings.plan else "until one is put into the store"
    return Finding("plan", Verdict.OK, f"{n_experiments} experiments {where}")


def disk_finding(settings: Settings) -> Finding:
    """Check the room for state, by writing as much as a catalogue takes."""
    folder = settings.state_dir.resolve()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free
    room = f"{free / GB:.1f} GB" if free >= GB else f"{free / MB:.1f} MB"
    seen = f"{room} free for {folder}"
    # A quota, a read-only mount or a missing right shows only when bytes are written.
    try:
        with TemporaryFile(dir=there) as tried:
            tried.write(bytes(LEAST_DISK_BYTES))
    except OSError as exc:
        seen = f"{there} does not take {LEAST_DISK_BYTES / MB:.0f} MB: {exc.strerror}; {seen}"
        return Finding("disk", Verdict.FAILURE, seen, STATE_ADVICE)
    advice = "make room: snapshots of 30 days are kept there"
    return Finding.checked("disk", seen, is_ok=free >= LITTLE_DISK_BYTES, advice=advice)
