"""Answers that the champion made, and what a candidate would have shown in their place."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from operator import attrgetter
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.domain.event import to_us
from models.experiments.exposure import COST, FILE, read_exposures
from models.experiments.exposure_record import FILE_COLUMNS, read_exploration, read_records
from models.rules.rule import NO_RULES, AtLeast, AtMost, Pin, Share, SlateRules
from models.scoring.bundle import read_bundle
from models.scoring.scorer import META, Scorer
from models.slate.exploration import drawn_propensities, is_drawn, seed_from
from models.slate.shortlist import shortlisted
from models.slate.slate import make_slate
from models.slate.slate_policy import PlackettLuce, SlatePolicy
from training.examples.slates import label_of, texts_of
from training.nightly.comparison import BundleComparison, JudgedBundle
from training.nightly.own_log import OwnLog, added_value, shared_value
from training.nightly.refit import as_of

_COLUMNS: Final = [name for name in FILE_COLUMNS if name != COST]
_MAX_SHARE: Final = 0.5  # see `drawn_propensities`
_BOUNDS: Final = (Pin, AtMost, AtLeast, Share)


@dataclass(frozen=True, slots=True, eq=False)
class RecordedSlate:
    """Slate of a recorded answer.

    Attributes:
        bundle_id: Bundle that made it.
        sale_ids: By rank.
        propensities: As recorded, shape ``(n_shown,)``.
        share: Share of answers that are drawn.
        is_drawn: Whether this one is.
        rules: Those of the plan that held for it.
    """

    bundle_id: str
    sale_ids: tuple[str, ...]
    propensities: NDArray[np.float64]
    share: float
    is_drawn: bool
    rules: SlateRules = NO_RULES


def recorded_slates(answers: pl.DataFrame, bundle_ids: Collection[str]) -> dict[str, RecordedSlate]:
    """Return slates by id, of the full answers that a bundle made in its own order.

    Left out are those with propensities of another kind: more than half drawn but not all, or
    places for new sales; and drawn ones under rules that bound places, whose draws of each place
    are not among all sales. Filtered answers and pages of rows are no lists of all sales.

    Args:
        answers: Recorded answers.
        bundle_ids: Ids of the bundle, with refitted recommenders or without.

    Raises:
        ExposureError: If an answer is not recorded as this software does.
    """
    own = answers.filter(
        pl.col("bundle_id").is_in(list(bundle_ids)),
        pl.col("degraded").is_null(),
        pl.col("candidates").is_null(),
        pl.col("interleaving").is_null(),
        pl.col("filter").is_null(),
        pl.col("rows").list.len() == 0,
        pl.col("diversity") == 0,
        pl.col("order_by") == META,
    )
    found: dict[str, RecordedSlate] = {}
    for record in read_records(own):
        share, name = _share(record.exploration), record.recommendation_id
        if share is None:
            continue
        drawn, rules = share > 0 and is_drawn(seed_from(name), share), record.policy.rules
        if drawn and any(isinstance(rule.action, _BOUNDS) for rule in rules.root):
            continue
        ranked = sorted(record.slate, key=attrgetter("rank"))
        found[name] = RecordedSlate(
            record.bundle_id,
            tuple(shown.sale_id for shown in ranked),
            np.array([shown.propensity for shown in ranked]),
            share,
            drawn,
            rules,
        )
    return found


def _share(exploration: str | None) -> float | None:
    if exploration is None:
        return 0.0
    match read_exploration(exploration):
        case PlackettLuce(share=share) if share < _MAX_SHARE or share == 1:
            return share
        case _:
            return None


def read_own_log(
    candidate: JudgedBundle,
    champion: JudgedBundle,
    *,
    forms: Mapping[str, Path],
    comparison: BundleComparison,
) -> OwnLog | None:
    """Value the purchases that followed the champion's answers under champion and candidate.

    Both are asked for their lists with recommenders of the night before the answer.

    Args:
        candidate: The candidate.
        champion: The champion.
        forms: Published forms of the champion's ranker by id.
        comparison: Slates and settings.

    Returns:
        The purchases; None if most slates were not made by a bundle.

    Raises:
        BundleError: If a form cannot be scored by this software.
        ExposureError: If the file of exposures cannot be read.
    """
    directory = comparison.dataset.directory
    if not (directory / FILE).is_file():
        return None
    ids = pl.col("recommendation_id")
    by_bundles = read_exposures(directory, ["recommendation_id"], where=pl.col("bundle_id") != "")
    by_a_model = set(by_bundles["recommendation_id"])
    slates = candidate.slates
    names = [*texts_of(candidate.evaluator.past.events.exposures, slates.exposures)]
    if 2 * sum(name in by_a_model for name in names) <= len(names):
        return None
    bought = np.flatnonzero(np.add.reduceat(slates.bought, slates.starts[:-1]) > 0)
    followed = [names[slate] for slate in bought.tolist()]
    # Windows are large: only what was bought from is read whole.
    answers = read_exposures(directory, _COLUMNS, where=ids.is_in(followed))
    recorded = recorded_slates(answers, forms)
    chosen = [slate for slate in bought.tolist() if names[slate] in recorded]
    shown = [recorded[str(names[slate])] for slate in chosen]
    wanted = np.array(chosen, dtype=np.intp)
    both = _lists_of_both(candidate, champion, wanted, shown, forms=forms, comparison=comparison)
    rows = [
        _valued(candidate, slate, recorded=one, lists=both[index])
        for index, (slate, one) in enumerate(zip(chosen, shown, strict=True))
    ]
    values = np.array(rows, dtype=np.float64).reshape(-1, 3)
    all_drawn = bool(shown) and all(one.share == 1 for one in shown)
    return OwnLog(slates.customers[wanted], values[:, 0], values[:, 1], values[:, 2], all_drawn)


@dataclass(frozen=True, slots=True)
class ListsOfBoth:
    """Sales that champion and candidate would show in an answer without chance, by rank."""

    champion: tuple[str, ...]
    candidate: tuple[str, ...]


def _lists_of_both(
    candidate: JudgedBundle,
    champion: JudgedBundle,
    chosen: NDArray[np.intp],
    recorded: Sequence[RecordedSlate],
    *,
    forms: Mapping[str, Path],
    comparison: BundleComparison,
) -> dict[int, ListsOfBoth]:
    """Return the lists of both by number of the answer."""
    found: dict[int, ListsOfBoth] = {}
    for name in sorted({one.bundle_id for one in recorded}):
        own = [index for index, one in enumerate(recorded) if one.bundle_id == name]
        # The recommenders that served: later ones know what the answers led to, earlier ones less.
        served = read_bundle(forms[name])
        until_us = to_us(datetime.fromisoformat(served.manifest.until))
        first, second = (
            first_sales(judged, chosen[own], recorded=[recorded[i] for i in own])
            for judged in (
                champion.with_scorer(Scorer.load(served)),
                as_of(candidate, comparison, moment_us=until_us),
            )
        )
        found |= zip(own, map(ListsOfBoth, first, second), strict=True)
    return found


def first_sales(
    judged: JudgedBundle, chosen: NDArray[np.intp], *, recorded: Sequence[RecordedSlate]
) -> list[tuple[str, ...]]:
    """Return the sales that a bundle would show in place of some slates, under their rules."""
    evaluator, found = judged.evaluator, list[tuple[str, ...]]()
    queries = evaluator.past.queries(judged.slates.select(chosen))
    for query, slate in zip(queries, recorded, strict=True):
        rows = evaluator.candidates(query)
        asked = replace(query, rows=rows, positions=None, caller_list=None)
        policy = SlatePolicy().model_copy(update={"rules": slate.rules})
        limit = len(slate.sale_ids)
        asked = shortlisted(asked, evaluator.scorer, policy=policy, limit=limit)
        scores = evaluator.scorer.score(asked)
        picks = make_slate(asked, scores, policy=policy, limit=limit, seed=0).picks
        first: list[int] = asked.rows[picks].tolist()
        found.append(tuple(query.catalogue.sales[row].sale_id for row in first))
    return found


def _valued(
    judged: JudgedBundle, slate: int, *, recorded: RecordedSlate, lists: ListsOfBoth
) -> tuple[float, float, float]:
    """Return the values of an answer in the order of `OwnLog`.

    Args:
        judged: The candidate.
        slate: Number of the answer's slate.
        recorded: What it showed.
        lists: What both would show.
    """
    slates, past = judged.slates, judged.evaluator.past
    entries, sales = slates.entries(slate), past.catalogue.sales
    rows: list[int] = slates.rows[entries][slates.bought[entries]].tolist()
    names = {sales[row].sale_id for row in rows}
    bought = [sale for sale in recorded.sale_ids if sale in names]
    device = label_of(past.events.devices, int(slates.devices[slate]))
    p_examined = judged.evaluator.scorer.p_examined(len(recorded.sale_ids), device)
    if recorded.is_drawn and recorded.share < 1:
        added = [sale for sale in bought if sale not in lists.champion]
        drawn = drawn_propensities(recorded.propensities, recorded.share)
        places, ranks = _places(added, recorded.sale_ids), _places(added, lists.candidate)
        value = added_value(places, ranks, p_examined=p_examined, propensities=drawn)
        return 0.0, 0.0, value * (1 - recorded.share) / recorded.share
    places = _places(bought, recorded.sale_ids)
    by_champion, by_candidate = (
        added_value(places, ranks, p_examined=p_examined, propensities=recorded.propensities)
        if recorded.is_drawn
        else shared_value(places, ranks, p_examined=p_examined)
        for ranks in (_places(bought, one) for one in (lists.champion, lists.candidate))
    )
    return by_champion, by_candidate, 0.0


def _places(sales: Sequence[str], shown: Sequence[str]) -> NDArray[np.intp]:
    """Return where sales stand in a list, from 0; the number of places for those that do not."""
    place = {sale: rank for rank, sale in enumerate(shown)}
    return np.array([place.get(sale, len(shown)) for sale in sales], dtype=np.intp)
