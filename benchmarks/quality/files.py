"""Input and output of peers: Parquet files in a directory, the same for all of them.

- ``train.parquet``: ``customer, sale, kind, at``, received before the split, no impressions.
- ``training.parquet``: ``list, sale, bought, f_…``: lists shown before the split, by time.
- ``lists.parquet``: ``list, sale, f_…``: what is to be ranked.
- ``histories.parquet``: ``list, sale, kind, age_s``: what the customer of a list had done by then.

A peer leaves ``scores.parquet``: ``list, sale, score``; what it does not score comes last,
as shown.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.quality.plain import NAMES, plain_features
from models.domain.event import IMPRESSION, KINDS
from models.query.query import Query
from models.scoring.scorer import Scores
from training.evaluation.protocol import Extra, Protocol, SlateEvaluator, SlateKey
from training.examples.outcomes import objective_for
from training.examples.slates import Slates, shown_slates

SCORES = "scores.parquet"


def write_train(evaluator: SlateEvaluator, from_us: int, directory: Path) -> None:
    """Write what was received before the split, and the lists shown before it."""
    events = evaluator.past.events
    kept = (events.received_us < from_us) & (events.kinds != IMPRESSION)
    frame = pl.DataFrame(
        {
            "customer": events.customers.codes[kept],
            "sale": evaluator.past.catalogue.rows_for(events.sale_keys[kept]),
            "kind": _kinds(events.kinds[kept]),
            "at": pl.Series(events.at_us[kept]).cast(pl.Datetime("us")),
        }
    )
    frame.write_parquet(directory / "train.parquet")
    shown = shown_slates(
        events,
        evaluator.past.catalogue,
        outcome_us=evaluator.config.outcome_us,
        objective=objective_for(evaluator.config, events),
    )
    settled = shown.now_us < from_us - evaluator.config.outcome_us
    # Lists that end in a purchase are all that such a log may hold: their outcome is known at once.
    early = shown.select(np.flatnonzero(settled if settled.any() else shown.now_us < from_us))
    pl.concat(list(_training(evaluator, early))).write_parquet(directory / "training.parquet")


def write_lists(
    evaluator: SlateEvaluator, slates: Slates, *, protocol: Protocol, directory: Path
) -> None:
    """Write what is to be ranked, with what was known of its customers."""
    lists: list[pl.DataFrame] = []
    histories: list[pl.DataFrame] = []
    for number, query in enumerate(evaluator.past.queries(slates)):
        entries = slates.entries(number)
        positions, prices = slates.positions[entries], slates.prices[entries]
        if protocol == Protocol.OPEN:
            query = replace(query, rows=evaluator.candidates(query), positions=None)
            positions = np.ones(len(query.rows), dtype=np.int64)
            prices = np.full(len(query.rows), np.nan)
        lists.append(_features(number, query, positions=positions, prices=prices))
        history = query.history
        histories.append(
            pl.DataFrame(
                {
                    "list": np.full(len(history), number),
                    "sale": history.rows,
                    "kind": _kinds(history.kinds),
                    "age_s": history.age_s,
                }
            )
        )
    pl.concat(lists).write_parquet(directory / "lists.parquet")
    pl.concat(histories).write_parquet(directory / "histories.parquet")


def peer_scorer(directory: Path, n_lists: int) -> Extra:
    """Return a scorer that ranks by what a peer wrote."""
    frame = pl.read_parquet(directory / SCORES)
    scores: list[dict[int, float]] = [{} for _ in range(n_lists)]
    for number, sale, score in frame.select("list", "sale", "score").iter_rows():
        scores[number][sale] = score

    def order(slate: SlateKey, query: Query, _: Scores) -> NDArray[np.float64]:
        known = scores[slate.number]
        return np.array([known.get(row, -np.inf) for row in query.rows.tolist()])

    return order


def _training(evaluator: SlateEvaluator, slates: Slates) -> Iterator[pl.DataFrame]:
    for number, query in enumerate(evaluator.past.queries(slates)):
        entries = slates.entries(number)
        features = _features(
            number, query, positions=slates.positions[entries], prices=slates.prices[entries]
        )
        yield features.with_columns(bought=pl.Series(slates.bought[entries]).cast(pl.Int8))


def _features(
    number: int, query: Query, *, positions: NDArray[np.int64], prices: NDArray[np.float64]
) -> pl.DataFrame:
    listed = np.expm1(query.catalogue.log_price[query.rows])
    matrix = plain_features(query, positions, np.where(np.isnan(prices), listed, prices))
    columns = {f"f_{name}": matrix[:, column] for column, name in enumerate(NAMES)}
    return pl.DataFrame({"list": np.full(len(query.rows), number), "sale": query.rows, **columns})


def _kinds(codes: NDArray[np.integer]) -> pl.Series:
    return pl.Series([kind.value for kind in KINDS], dtype=pl.String).gather(codes)
