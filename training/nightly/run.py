"""Nightly run: validates a dataset, trains, evaluates, decides and publishes a bundle."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime
from functools import partial
from hashlib import file_digest
from pathlib import Path
from typing import Final

from pydantic import JsonValue, TypeAdapter

from models.arrays.atomic_file import write_file
from models.dataset.reading import Dataset, read_dataset
from models.domain.errors import UserError
from models.domain.event import from_us, to_us
from models.domain.units import HOUR_US, SECOND_US
from models.experiments.exposure import FILE as EXPOSURES
from models.ranker.objective import TrainingObjective
from models.scoring.bundle import (
    FORMAT_VERSION,
    Bundle,
    BundleError,
    read_bundle,
    read_manifest,
    write_bundle,
)
from models.scoring.night_record import NightVerdict
from models.scoring.scorer import META, Scorer
from training.configuration import RunConfig, TrainingOptions
from training.console import SCRATCH, Progress
from training.examples.outcomes import objective_for, outcome_noun
from training.nightly.champion import CANDIDATES, Champion
from training.nightly.comparison import (
    BundleComparison,
    JudgedBundle,
    differences,
    information,
    measure,
)
from training.nightly.night import Night, NightOutcome
from training.nightly.own_answers import read_own_log
from training.nightly.own_log import OwnLogValue, value_of
from training.nightly.profiles import write_profiles
from training.nightly.publish_gate import (
    BASELINE,
    Decision,
    GateVerdict,
    decide,
    decide_on_own_log,
)
from training.nightly.refit import as_of, refitted
from training.nightly.stage_cache import StageCache
from training.nightly.waiting import remove_expired
from training.pipeline.prepare import DataOptions, prepare, require_happened
from training.pipeline.train import train
from training.statistics.bootstrap import Interval

REPORTS: Final = "reports"

_INTERVALS: Final = TypeAdapter(dict[str, Interval])
_INFORMATION: Final[TypeAdapter[Interval | None]] = TypeAdapter(Interval | None)
_OWN_LOG: Final = TypeAdapter(OwnLogValue)


class FaultyDataError(UserError):
    """A dataset of which too many rows had to be left out."""


def run_night(night: Night, *, progress: Progress) -> NightOutcome:
    """Validate, train, evaluate, decide, and publish what passes.

    Killed at any moment and started again, it goes on after the last stage that was
    finished, and ends as if nothing had happened. Only the last step makes the bundle
    visible to the service.

    Args:
        night: What to do.
        progress: Receives the stages.

    Raises:
        BundleError: If the champion that was named cannot be used.
        BusyError: If another run works in the same state.
        DatasetError: If the dataset cannot be used.
        FaultyDataError: If too much of it was left out.
        FutureError: If an event is of a time that has not come.
        TooFewPurchasesError: If there is too little to learn from.
    """
    stages = StageCache(night.state)
    with stages.alone():
        progress.stage("validate")
        dataset = read_dataset(night.data, by_part=_options(night).by_part)
        objective = objective_for(night.config, dataset.events)
        night = replace(night, config=night.config.model_copy(update={"objective": objective}))
        remarks = tuple(map(str, dataset.faults.remarks()))
        outcome = NightOutcome(verdict=NightVerdict.NOTHING_NEW, reasons=(), remarks=remarks)
        if not len(dataset.events) and not dataset.faults.n_refused():
            return replace(outcome, reasons=(f"{night.data} holds no event yet",))
        _require_sound(night, dataset)
        champion = Champion.find(
            night.bundles, state=night.state, data=night.data, named=night.champion
        )
        judged_from_us = 0
        if champion is not None:
            # Its own training data would overestimate it.
            until = read_bundle(champion.judged).manifest.until
            judged_from_us = to_us(datetime.fromisoformat(until))
            outcome = replace(outcome, champion=champion.name)
        # Whole seconds: manifests keep no fractions.
        until_us = (int(dataset.events.received_us.max()) // SECOND_US + 1) * SECOND_US
        start_us = max(until_us - night.evaluation_us, judged_from_us)
        if start_us + night.config.outcome_us >= until_us:
            return replace(outcome, reasons=(_unknown_until(night, start_us),))
        comparison = BundleComparison(
            dataset, start_us, until_us, night.config, night.seed, night.cache
        )
        return _judged_and_published(
            outcome, comparison, night=night, champion=champion, stages=stages, progress=progress
        )


def _unknown_until(night: Night, start_us: int) -> str:
    outcome_us = night.config.outcome_us
    if night.evaluation_us <= outcome_us:
        return (
            f"--judge-hours ({night.evaluation_us / HOUR_US:g}) end before an outcome is known: "
            f"more than {outcome_us / HOUR_US:g} (`outcome_hours`) are needed"
        )
    known = from_us(start_us + outcome_us).isoformat(timespec="seconds")
    return (
        "the outcome of what was shown since the champion's training is not known yet: it is once "
        f"the data reach beyond {known}"
    )


def _options(night: Night) -> TrainingOptions:
    return TrainingOptions(
        config=night.config,
        seed=night.seed,
        threads=night.threads,
        scratch=night.cache / SCRATCH,
        n_parts=night.n_parts,
        scheduler=night.scheduler,
        n_processes=night.processes,
    )


def _require_sound(night: Night, dataset: Dataset) -> None:
    dataset.require_trainable()
    n_refused = sum(dataset.faults.n_refused().values())
    n_rows = n_refused + len(dataset.sales) + len(dataset.events)
    if n_refused > night.max_fault_share * n_rows:
        msg = (
            f"{night.data}: {n_refused} of {n_rows} rows had to be left out, more than "
            f"{night.max_fault_share:.2%}; see `python -m training validate`"
        )
        raise FaultyDataError(msg)
    require_happened(dataset, night.now_us)


def _judged_and_published(
    outcome: NightOutcome,
    comparison: BundleComparison,
    *,
    night: Night,
    champion: Champion | None,
    stages: StageCache,
    progress: Progress,
) -> NightOutcome:
    # All that a stage depends on: a night that was killed finds the outputs of equal inputs only.
    inputs: dict[str, JsonValue] = {
        "data": comparison.dataset.fingerprint,
        "until": comparison.from_us,
        "config": night.config.model_dump(mode="json"),
        "scenes": str(night.scenes),
        "seed": night.seed,
        "format": FORMAT_VERSION,
    }
    candidate = _candidate(night, comparison, stages, inputs=inputs, progress=progress)
    follow = partial(
        _followed, night=night, comparison=comparison, champion=champion, progress=progress
    )
    if champion is not None and _are_equal(candidate, champion.judged):
        reason = (
            f"nothing new: the candidate is that of {champion.name}, byte for byte, as both know "
            "the same days; it is published again, refitted on all"
        )
        outcome = replace(outcome, reasons=(reason,), candidate=champion.judged.name)
        return follow(GateVerdict.PUBLISH, outcome, candidate=champion.judged)
    progress.stage("evaluate")
    inputs |= {"candidate": candidate.name, "champion": _against(champion, night.data)}
    found = stages.once("judge", inputs, work=lambda: _evaluation(candidate, champion, comparison))
    progress.stage("decide")
    decision = _decision(found, night.config)
    path = _report(found, decision, candidate=candidate, state=night.state)
    outcome = replace(
        outcome,
        verdict=NightVerdict.REJECTED,
        reasons=decision.reasons,
        candidate=candidate.name,
        report=path,
    )
    return follow(decision.verdict, outcome, candidate=candidate)


def _report(
    found: Mapping[str, JsonValue], decision: Decision, *, candidate: Path, state: Path
) -> Path:
    report = {
        "candidate": candidate.name,
        **found,
        "passed": decision.verdict is GateVerdict.PUBLISH,
        "reasons": list(decision.reasons),
        "metrics": read_bundle(candidate).manifest.metrics,
    }
    path = state / REPORTS / f"{candidate.name}.json"
    write_file(path, json.dumps(report, indent=1).encode())
    return path


def _are_equal(candidate: Path, champion: Path) -> bool:
    return read_manifest(candidate).files == read_manifest(champion).files


def _followed(
    verdict: GateVerdict,
    outcome: NightOutcome,
    *,
    candidate: Path,
    night: Night,
    comparison: BundleComparison,
    champion: Champion | None,
    progress: Progress,
) -> NightOutcome:
    """Do what follows from the verdict: last of all a bundle that the service then finds."""
    if verdict is GateVerdict.REFUSE:
        return outcome
    progress.stage("refit")
    # Under the same meta-model: what was judged is what serves, with more knowledge.
    bundle = refitted(candidate, comparison)
    asking = champion if verdict is GateVerdict.ASK else None
    # Until customers have judged the candidate the champion serves, and need not grow old.
    served = refitted(asking.judged, comparison) if asking else bundle
    progress.stage("publish")
    # Before the bundle: if the night is killed in between, the next one writes both again.
    profiles = write_profiles(comparison.dataset, comparison.until_us, directory=night.profiles)
    published = _written(served, night.bundles, made_us=night.now_us)
    outcome = replace(
        outcome, verdict=NightVerdict.PUBLISHED, published=published, profiles=profiles
    )
    if asking is None:
        return outcome
    manifest = bundle.manifest.model_copy(update={"awaits_traffic": True})
    waiting = replace(bundle, manifest=manifest)
    awaiting = _written(waiting, night.bundles, made_us=night.now_us)
    remove_expired(night.bundles, now_us=night.now_us, kept=asking.forms)
    return replace(outcome, verdict=NightVerdict.NEEDS_TRAFFIC, awaiting=awaiting)


def _written(bundle: Bundle, root: Path, *, made_us: int) -> str:
    # Microseconds, so that two nights never tie.
    made = from_us(made_us).isoformat(timespec="microseconds")
    manifest = bundle.manifest.model_copy(update={"created_at": made})
    return write_bundle(root, manifest, files=bundle.files).name


def _against(champion: Champion | None, data: Path) -> list[JsonValue]:
    if champion is None:
        return []
    names = [champion.judged.name, champion.name, *sorted(champion.forms)]
    path = data / EXPOSURES
    if not path.is_file():
        return [*names]
    with path.open("rb") as file:
        return [*names, file_digest(file, "sha256").hexdigest()]


def _decision(found: Mapping[str, JsonValue], config: RunConfig) -> Decision:
    reference = str(found["reference"])
    outcomes = outcome_noun(config.objective or TrainingObjective.PURCHASE)
    if found["own_log"] is None:
        differences = _INTERVALS.validate_python(found["differences"])
        return decide(differences, reference=reference, outcomes=outcomes)
    information = _INFORMATION.validate_python(found["information"])
    value = _OWN_LOG.validate_python(found["own_log"])
    return decide_on_own_log(value, information, reference=reference, outcomes=outcomes)


def _candidate(
    night: Night,
    comparison: BundleComparison,
    stages: StageCache,
    *,
    inputs: Mapping[str, JsonValue],
    progress: Progress,
) -> Path:
    """Train on what lies before the judged part, and return the bundle, verified."""
    root = night.state / CANDIDATES

    def work() -> dict[str, JsonValue]:
        options = _options(night)
        source = DataOptions(
            directory=night.data,
            cache=night.cache,
            until=from_us(comparison.from_us),
            scenes=night.scenes,
        )
        prepared = prepare(source, options, progress=progress)
        made = train(prepared, options, root=root, progress=progress)
        # Verified as the service will verify it: what cannot be served fails here.
        Scorer.load(read_bundle(made))
        return {"bundle": made.name}

    def loads(kept: Mapping[str, JsonValue]) -> bool:
        try:
            Scorer.load(read_bundle(root / str(kept["bundle"])))
        except BundleError:
            return False  # removed, or made by other software
        return True

    return root / str(stages.once("train", inputs, work=work, holds=loads)["bundle"])


def _evaluation(
    candidate: Path, champion: Champion | None, comparison: BundleComparison
) -> dict[str, JsonValue]:
    judged = JudgedBundle.load(candidate, comparison)
    measured = measure(judged, comparison)
    reference, order, name = measured, BASELINE, f"its own {BASELINE}"
    own, known = None, None
    if champion is not None:
        old = JudgedBundle.load(champion.judged, comparison)
        # As much is known to the champion as to the candidate, which was trained later.
        reference = measure(as_of(old, comparison, moment_us=comparison.from_us), comparison)
        order, name = META, champion.name
        known = information(measured, reference, seed=comparison.seed)
        own = read_own_log(judged, old, forms=champion.forms, comparison=comparison)
    found = differences(measured, reference, order=order, seed=comparison.seed)
    return {
        "reference": name,
        "from": from_us(comparison.from_us).isoformat(),
        "until": from_us(comparison.until_us).isoformat(),
        "differences": {measure: asdict(interval) for measure, interval in found.items()},
        "own_log": None if own is None else asdict(value_of(own, seed=comparison.seed)),
        "information": None if known is None else asdict(known),
    }
