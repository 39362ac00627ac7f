"""Logged answers: exported answers as rounds, with their probabilities under a target policy."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.catalogue.catalogue import Catalogue
from models.catalogue.eligible_sales import EligibleSalesCache
from models.catalogue.snapshot_folder import SnapshotFolder
from models.dataset import EventTable
from models.dataset.event_columns import keys_for
from models.domain.customer import Window
from models.domain.errors import UserError
from models.domain.event import to_us
from models.domain.profile import Profile
from models.experiments.exposure_record import (
    FILE_COLUMNS,
    ExposureRecord,
    read_exploration,
    read_records,
)
from models.pictures.topics import Topics
from models.query.candidates import candidate_query
from models.query.query import Query
from models.slate.slate_policy import PlackettLuce
from training.console import Progress
from training.off_policy.reward import Reward, rewards_of
from training.off_policy.rounds import Rounds
from training.off_policy.support import NoAnswersError, NoTemperatureError
from training.off_policy.target import TargetPolicy, View

IS_FORCED: Final = (
    pl.col("assignments")
    .list.eval(pl.element().struct.field("is_forced"))
    .list.any()
    .fill_null(value=False)
)
"""Whether an answer is a preview of a variant, or another platform's decision."""


class AnswersError(UserError):
    """Exported answers that allow no off-policy estimate."""


@dataclass(frozen=True, slots=True, eq=False)
class LoggedAnswers:
    """Logged answers that can be evaluated.

    Attributes:
        answers: Rows of the file of exposures with ``now_us``, by snapshot and time.
        left_out: Number of the others by the reason.
    """

    answers: pl.DataFrame
    left_out: dict[str, int]


def judged(exposures: pl.DataFrame, *, until_us: int, window_us: int) -> LoggedAnswers:
    """Choose the answers that can be judged, and count the others.

    Left out are answers that had to do without something (every policy would have), that
    ranked the caller's own candidates, that interleaved two policies (their places are certain
    but for coins between two sales, which is no support for a third policy), that the caller
    filtered or rules of the plan shaped (a target policy has neither), pages of rows, that showed
    nothing, and whose window is not over.

    Args:
        exposures: Rows of the file of exposures.
        until_us: Up to when events are known.
        window_us: How long after an answer its rewards count.

    Raises:
        AnswersError: If a column is missing.
        NoAnswersError: If none is left.
    """
    missing = [name for name in FILE_COLUMNS if name not in exposures.columns]
    if missing:
        msg = f"exposures lack the columns {', '.join(missing)}: export again by this version"
        raise AnswersError(msg)
    rest = exposures.with_columns(pl.col("now").dt.epoch("us").alias("now_us"))
    rest, left_out = sifted(
        rest,
        degraded=pl.col("degraded").is_null(),
        forced=~IS_FORCED,
        own_candidates=pl.col("candidates").is_null(),
        interleaved=pl.col("interleaving").is_null(),
        filtered=pl.col("filter").is_null(),
        ruled=pl.col("rules").is_null(),
        page=pl.col("rows").list.len() == 0,
        empty=pl.col("slate").list.len() > 0,
        window_not_over=pl.col("now_us") + window_us <= until_us,
    )
    if not rest.height:
        msg = (
            f"no answer can be judged ({listed(left_out) or 'there are none'}): see Refusals in "
            "docs/off-policy.md, or compare both by an interleaving"
        )
        raise NoAnswersError(msg)
    # By snapshot: one catalogue is in memory at a time.
    return LoggedAnswers(rest.sort("snapshot_id", "now_us", "recommendation_id"), left_out)


def sifted(answers: pl.DataFrame, **keeps: pl.Expr) -> tuple[pl.DataFrame, dict[str, int]]:
    """Keep the answers that meet every condition, and count those that each one leaves out.

    Args:
        answers: Rows of the file of exposures.
        keeps: The conditions, by what those that do not meet them are called.
    """
    left_out: dict[str, int] = {}
    for reason, condition in keeps.items():
        kept = answers.filter(condition)
        left_out[reason] = answers.height - kept.height
        answers = kept
    return answers, left_out


def listed(left_out: Mapping[str, int]) -> str:
    """Return the counts that are not 0 as a text."""
    return ", ".join(f"{n} {reason}" for reason, n in left_out.items() if n)


def learned_from(now_us: pl.Series, until: str) -> str | None:
    """Return a warning if a bundle is valued on answers whose clicks it may have learned from.

    Args:
        now_us: Times of the answers, microseconds since the epoch.
        until: End of the data of the bundle, see `models.scoring.bundle.Manifest`.
    """
    n_early = int((now_us < to_us(datetime.fromisoformat(until))).sum())
    if not n_early:
        return None
    return (
        f"these figures flatter: {n_early:,} of {len(now_us):,} answers are from before {until}, "
        "until when the bundle learned; value it on answers of later"
    )


def at_own_temperature(chosen: LoggedAnswers) -> tuple[LoggedAnswers, float]:
    """Keep the answers of policies that draw by Plackett-Luce, and return their temperature.

    A target of that temperature differs from the drawn slates of the log by its scores alone;
    one without chance needs logs in which chance made its very slates.

    Raises:
        NoTemperatureError: If no answer is of such a policy, or they are of several temperatures.
        ExposureError: If an exploration is none of this software.
    """
    texts = chosen.answers["exploration"].unique().drop_nulls().sort().to_list()
    known = {text: read_exploration(text) for text in texts}
    found = {text: one.temperature for text, one in known.items() if isinstance(one, PlackettLuce)}
    temperatures = sorted(set(found.values()))
    if len(temperatures) != 1:
        listed = ", ".join(f"{one:g}" for one in temperatures) or "none"
        msg = (
            "the temperature of the log's own Plackett-Luce slates is needed, and answers have "
            f"{listed}: give --temperature, select a --variant, or explore first"
        )
        raise NoTemperatureError(msg)
    kept = chosen.answers.filter(pl.col("exploration").is_in(list(found)))
    left_out = chosen.left_out | {"not_drawn": chosen.answers.height - kept.height}
    return LoggedAnswers(kept, left_out), temperatures[0]


@dataclass(frozen=True, slots=True)
class Setting:
    """Settings of an off-policy estimate.

    Attributes:
        target: The policy to value.
        snapshots: Directory of the service's snapshots.
        reward: The reward of slates.
        window_us: How long after an answer its rewards count.
        seed: Draws slates of a target policy of chance, and resamples.
    """

    target: TargetPolicy
    snapshots: Path
    reward: Reward
    window_us: int
    seed: int


def rounds_of(
    answers: pl.DataFrame, events: EventTable, *, setting: Setting, progress: Progress
) -> Rounds:
    """Score every answer again by the target policy, and join what followed from it.

    Predictions are the bundle's purchase probabilities, times the price for revenue, times one
    factor a position that makes them as large in total as what was logged at that position.

    Args:
        answers: See `judged`.
        events: Events of the same shop.
        setting: Target policy, reward, window.
        progress: Ticks once an answer.

    Raises:
        AnswersError: If a snapshot is missing, or an answer shows what was no candidate.
        ExposureError: If an answer is not recorded as this software does.
    """
    rng = np.random.default_rng(setting.seed)
    views: list[View] = []
    for record, catalogue in with_catalogues(
        read_records(answers), snapshots=setting.snapshots, topics=setting.target.scorer.topics
    ):
        views.append(setting.target.view(*_question(record, catalogue), rng=rng))
        progress.tick()
    # An answer and each of its sales have `rules`, of which nothing is read here.
    by_answer = answers.drop("rules").with_row_index("round")
    shown = by_answer.explode("slate").unnest("slate").sort("round", "rank")
    rewards = rewards_of(shown, events, reward=setting.reward, window_us=setting.window_us)
    # A visitor without id is a unit of its own.
    names = pl.coalesce("customer_id", pl.concat_str(pl.lit("\x1f"), "recommendation_id"))
    units = answers.select(names.rank("dense").cast(pl.Int64).alias("unit"))["unit"].to_numpy()
    return _rounds(shown, rewards, views, units=units)


def _rounds(
    shown: pl.DataFrame,
    rewards: NDArray[np.float64],
    views: list[View],
    *,
    units: NDArray[np.int64],
) -> Rounds:
    """Lay out rows of shown sales by round and position."""
    # Rows of `shown` and parts of `views` are both in the order of rounds, then ranks.
    place = (shown["round"].to_numpy(), shown["rank"].to_numpy() - 1)
    shape = (len(units), 1 + int(place[1].max(initial=0)))

    def placed(values: NDArray[np.float64], *, empty: float = 0.0) -> NDArray[np.float64]:
        laid = np.full(shape, empty)
        laid[place] = values
        return laid

    def joined(parts: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        return np.concatenate([np.empty(0), *parts])

    logged, predicted = placed(rewards), placed(joined([view.predicted for view in views]))
    total = predicted.sum(axis=0)
    # One factor a position: what was logged there falls with the position, the prediction does not.
    factor = np.zeros(len(total))
    np.divide(logged.sum(axis=0), total, out=factor, where=total > 0)
    return Rounds(
        rewards=logged,
        logging=placed(shown["propensity"].to_numpy(), empty=1.0),
        target=placed(joined([view.target for view in views]), empty=1.0),
        predicted=factor * predicted,
        expected=factor * placed(joined([view.expected for view in views])),
        direct=factor * placed(joined([view.direct for view in views])),
        units=units,
    )


def with_catalogues(
    answers: Iterator[ExposureRecord], *, snapshots: Path, topics: Topics
) -> Iterator[tuple[ExposureRecord, Catalogue]]:
    """Pair each answer with its catalogue; answers of one snapshot stand together.

    Args:
        answers: The answers.
        snapshots: Directory of the service's snapshots.
        topics: Of the bundle that scores.

    Raises:
        AnswersError: If a snapshot is missing.
    """
    folder = SnapshotFolder(snapshots)
    read_id, content_id, catalogue = "", "", None
    for record in answers:
        if record.snapshot_id != read_id or catalogue is None:
            read_id = record.snapshot_id
            wanted, _, counts_id = read_id.partition(".")
            try:
                if wanted != content_id or catalogue is None:
                    content = folder.content(wanted)
                    catalogue = content.catalogue(topics)
                    content_id = wanted
                counts = folder.counts(counts_id, n_sales=len(catalogue))
            except OSError as exc:
                kept = "snapshots are kept for 30 days where the service ran"
                msg = f"{exc.filename} is missing: {kept}"
                raise AnswersError(msg) from exc
            catalogue = catalogue.with_counts(counts)
        yield record, catalogue


def _question(record: ExposureRecord, catalogue: Catalogue) -> tuple[Query, NDArray[np.int64]]:
    """Return the query of an answer, and which of its candidates were shown, by rank."""
    query = candidate_query(
        EligibleSalesCache(catalogue).at(record.market, record.now_us),
        record.context,
        window=Window.unpack(record.window),
        profile=Profile.unpack(record.profile),
        choice=record.choice,
    )
    rows = query.rows
    ranked = sorted(record.slate, key=attrgetter("rank"))
    sale_ids = pl.Series([one.sale_id for one in ranked], dtype=pl.String)
    wanted = catalogue.rows_for(keys_for(sale_ids))
    # Candidates are in the order of rows. What lies behind the last one gets the last one's place,
    # and differs from it; an unknown sale has row -1, which -2 differs from where there are none.
    shown = np.searchsorted(rows, wanted)
    found = rows[np.minimum(shown, len(rows) - 1)] if len(rows) else np.full(len(wanted), -2)
    if not np.array_equal(found, wanted):
        msg = (
            f"answer {record.recommendation_id} shows "
            f"{sale_ids[int(np.argmax(found != wanted))]!r}, which its snapshot does not offer"
        )
        raise AnswersError(msg)
    return query, shown
