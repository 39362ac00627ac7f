"""Logged covers: exported answers whose covers were chosen, with their clicks."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.catalogue.catalogue import Catalogue
from models.covers.cover_choice import CoverPolicy, cover_chances
from models.covers.cover_model import CoverModel
from models.dataset.events import EventTable
from models.domain.customer import Window
from models.domain.event import IMPRESSION
from models.experiments.analysis.outcome import texts
from models.experiments.exposure_record import ExposureRecord, read_records
from models.pictures.topics import Topics
from training.off_policy.logged_answers import (
    IS_FORCED,
    AnswersError,
    listed,
    sifted,
    with_catalogues,
)
from training.off_policy.reward import Reward, rewards_of
from training.off_policy.rounds import Rounds

_OF_ANSWER = ("recommendation_id", "customer_id", "now_us", "market", "device", "unit")


@dataclass(frozen=True, slots=True, eq=False)
class ShownCovers:
    """Chosen covers that customers saw.

    Attributes:
        rows: A row each, by snapshot, time, answer and rank: ``recommendation_id, customer_id,
            now_us, market, device, unit, sale_id, rank, number, propensity, clicked``.
        left_out: Number of the other answers by the reason.
        not_seen: Covers of the answers that are left whose sale no impression names with them.
    """

    rows: pl.DataFrame
    left_out: dict[str, int]
    not_seen: int


def shown_covers(
    exposures: pl.DataFrame, events: EventTable, *, until_us: int, window_us: int
) -> ShownCovers:
    """Return the chosen covers that an impression names, with whether each was clicked.

    Left out are answers that another platform or a preview forced, that had to do without
    something, that chose no cover, and whose window is not over. Filters, rules, candidates of
    the caller, pages and interleavings shape lists, not covers: such answers are kept.

    Args:
        exposures: Rows of the file of exposures.
        events: Events of the same shop.
        until_us: Up to when events are known.
        window_us: How long after an answer a click counts.

    Raises:
        AnswersError: If there is none.
    """
    missing = {"covers", "slate", "assignments", "degraded"}.difference(exposures.columns)
    if missing:
        msg = f"exposures lack the columns {', '.join(sorted(missing))}: export again"
        raise AnswersError(msg)
    rest, left_out = sifted(
        exposures.with_columns(now_us=pl.col("now").dt.epoch("us")),
        forced=~IS_FORCED,
        degraded=pl.col("degraded").is_null(),
        no_covers=pl.col("covers").is_not_null(),
        window_not_over=pl.col("now_us") + window_us <= until_us,
    )
    chosen = _chosen(rest)
    rows = chosen.join(
        _seen(events),
        on=["recommendation_id", "sale_id", "number"],
        how="semi",
        maintain_order="left",
    )
    if not rows.height:
        found = listed({**left_out, "covers without an impression": chosen.height}) or "no answer"
        msg = (
            f"no cover can be judged ({found}): set `covers` of a policy of the plan, send "
            "impressions with `exposure_id` and `cover`, and wait for the window to be over or "
            "shorten it by --window-hours; see docs/covers.md"
        )
        raise AnswersError(msg)
    clicked = rewards_of(rows, events, reward=Reward.CLICKS, window_us=window_us)
    return ShownCovers(
        rows.with_columns(clicked=pl.Series(clicked)), left_out, chosen.height - rows.height
    )


def _chosen(answers: pl.DataFrame) -> pl.DataFrame:
    return (
        answers.with_columns(
            # A visitor without id is a unit of its own.
            unit=pl.coalesce("customer_id", pl.concat_str(pl.lit("\x1f"), "recommendation_id")),
            sale_ids=pl.col("slate").list.eval(pl.element().struct.field("sale_id")),
        )
        .sort("snapshot_id", "now_us", "recommendation_id")
        .select(*_OF_ANSWER, "sale_ids", pl.col("covers").struct.field("shown"))
        .explode("shown")
        .unnest("shown")
        .with_columns(sale_id=pl.col("sale_ids").list.get(pl.col("rank") - 1))
        .drop("sale_ids")
    )


def _seen(events: EventTable) -> pl.DataFrame:
    found = np.flatnonzero((events.kinds == IMPRESSION) & (events.covers > 0))
    return pl.DataFrame(
        {
            "recommendation_id": texts(events.exposures, found),
            "sale_id": texts(events.sale_ids, found),
            "number": events.covers[found].astype(np.int64),
        }
    )


@dataclass(frozen=True, slots=True, eq=False)
class CoverTarget:
    """How covers would be chosen.

    Attributes:
        model: Predicts clicks.
        policy: Chooses by it; None always shows the first picture of a sale.
    """

    model: CoverModel
    policy: CoverPolicy | None

    def chances(self, log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probability of each picture; see `cover_chances`."""
        if self.policy is not None:
            return cover_chances(log_odds, self.policy)
        first = np.zeros(log_odds.shape)
        first[:, 0] = 1.0
        return first


def cover_rounds(
    rows: pl.DataFrame,
    exposures: pl.DataFrame,
    *,
    target: CoverTarget,
    snapshots: Path,
    topics: Topics,
) -> Rounds:
    """Lay out shown covers as rounds of one position: a cover changes the clicks of its sale alone.

    Predictions are odds by the model, relative to the mean picture of the sale, times one factor a
    rank that makes them as large in total as what was logged there.

    Args:
        rows: See `ShownCovers`.
        exposures: The answers that they are of.
        target: How covers would be chosen.
        snapshots: Directory of the service's snapshots.
        topics: Of the bundle.

    Raises:
        AnswersError: If a snapshot is missing, or an answer shows a picture that is not in it.
        ExposureError: If an answer is not recorded as this software does.
    """
    seen = dict(rows.group_by("recommendation_id").agg("rank").iter_rows())
    answers = exposures.filter(pl.col("recommendation_id").is_in(list(seen))).with_columns(
        now_us=pl.col("now").dt.epoch("us")
    )
    ordered = answers.sort("snapshot_id", "now_us", "recommendation_id")
    catalogues = with_catalogues(read_records(ordered), snapshots=snapshots, topics=topics)
    views = [
        _view(record, catalogue, target, seen=seen[record.recommendation_id])
        for record, catalogue in catalogues
    ]
    chosen, predicted, expected = (np.concatenate(part) for part in zip(*views, strict=True))
    clicked, ranks = rows["clicked"].to_numpy(), rows["rank"].to_numpy()
    logged = np.bincount(ranks, weights=clicked)
    total = np.bincount(ranks, weights=predicted)
    factor = np.divide(logged, total, out=np.zeros(len(total)), where=total > 0)[ranks]
    direct = (factor * expected)[:, None]
    return Rounds(
        rewards=clicked[:, None],
        logging=rows["propensity"].to_numpy()[:, None],
        target=chosen[:, None],
        predicted=(factor * predicted)[:, None],
        expected=direct,
        direct=direct,
        units=rows["unit"].rank("dense").cast(pl.Int64).to_numpy(),
    )


def _view(
    record: ExposureRecord, catalogue: Catalogue, target: CoverTarget, *, seen: list[int]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the target's probability of each cover, its prediction, and the mean prediction.

    Covers are those at the ranks that were seen.
    """
    chosen, model = record.covers.shown if record.covers else (), target.model
    covers = [one for one in chosen if one.rank in seen]
    rows = [catalogue.row_for(record.slate[one.rank - 1].sale_id) for one in covers]
    known = [None if row is None else model.pictures(catalogue, row) for row in rows]
    sales = [one for one in known if one is not None]
    shown = [(one, cover.number) for one, cover in zip(known, covers, strict=True) if one]
    if any(number not in one.numbers for one, number in shown) or len(sales) < len(covers):
        msg = f"answer {record.recommendation_id} shows a picture that its snapshot does not have"
        raise AnswersError(msg)
    log_odds = model.log_odds(sales, model.taste(Window.unpack(record.window), catalogue))
    odds = np.exp(log_odds - log_odds.max(axis=1, keepdims=True))
    odds /= odds.sum(axis=1, keepdims=True) / np.isfinite(log_odds).sum(axis=1, keepdims=True)
    chances = target.chances(log_odds)
    at = np.arange(len(shown)), [one.numbers.index(number) for one, number in shown]
    return chances[at], odds[at], (chances * odds).sum(axis=1)
