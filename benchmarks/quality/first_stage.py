"""Recall of the first stage of large catalogues on data that this project did not make.

Question: how many of the full ranking's ten does the shortlist keep in shops that had no part in
the choice of its numbers?

Method: ``python -m benchmarks.quality.first_stage --data DIR --bundle DIR``, of a dataset and a
bundle that was trained on what it had received up to a moment; such as a set of
`benchmarks.quality.real_sets`. Customers with a past are asked about at that moment, with all sales
that have opened as candidates. The full ranking is compared with the highest estimates and what is
related to the customer, as `models.slate.shortlist` chooses them, for several numbers of estimates,
and with these alone.

Last numbers: docs/performance.md.
"""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import typer
from numpy.typing import NDArray

from benchmarks.results import write_result
from models.catalogue.eligible_sales import EligibleSales
from models.dataset import read_dataset
from models.domain.event import IMPRESSION, to_us
from models.query.candidates import CallerChoice, candidate_query
from models.query.query import Context, Query
from models.scoring.bundle import read_bundle
from models.scoring.scorer import Scorer
from training.examples.replay import ProfileReplay, WindowReplay

N_TOP: Final = 10
SIZES: Final = (64, 128, 256, 512, 1_024)
"""Numbers of highest estimates."""


def asked(scorer: Scorer, data: Path, now_us: int, *, n_customers: int) -> Iterator[Query]:
    """Yield a query for all open sales at a moment, of each of some customers with a past."""
    events = read_dataset(data).events
    catalogue = scorer.seed_catalogue()
    rows = np.flatnonzero(catalogue.opens_us <= now_us)
    eligible = EligibleSales(catalogue, rows, now_us, now_us + 1)
    windows, profiles = WindowReplay(events), ProfileReplay(events)
    has_past = (events.kinds != IMPRESSION) & (events.received_us < now_us)
    known = np.unique(events.customers.codes[has_past])
    drawn = np.random.default_rng(0).permutation(known)[:n_customers]
    for customer in drawn.tolist():
        yield candidate_query(
            eligible,
            Context(now_us),
            window=windows.window(customer, now_us),
            profile=profiles.profile(customer, now_us),
            choice=CallerChoice(),
        )


def recalls(query: Query, scorer: Scorer) -> NDArray[np.float64]:
    """Return the share of the full ranking's ten in a list of each size, ``(2, n_sizes)``.

    First of what shortlists hold, then of the highest estimates alone.
    """
    stage = scorer.first_stage(query.catalogue)
    best = query.rows[np.argsort(-scorer.score(query).order, kind="stable")[:N_TOP]]
    by_estimate = query.rows[np.argsort(-stage.estimates(query), kind="stable")]
    parts = [stage.related(query), np.empty(0, dtype=np.int64)]
    return np.array(
        [
            [np.isin(best, np.concatenate([by_estimate[:n], part])).mean() for n in SIZES]
            for part in parts
        ]
    )


def main(
    data: Annotated[Path, typer.Option(help="The dataset.", exists=True)],
    bundle: Annotated[Path, typer.Option(help="Directory of the bundle.", exists=True)],
    customers: Annotated[int, typer.Option(min=1, help="Customers at most.")] = 200,
) -> None:
    """Print recall by size, and write results/benchmarks/first_stage.json."""
    read = read_bundle(bundle)
    scorer, now_us = Scorer.load(read), to_us(datetime.fromisoformat(read.manifest.until))
    queries = list(asked(scorer, data, now_us, n_customers=customers))
    found = np.array([recalls(query, scorer) for query in queries])
    related = [len(scorer.first_stage(one.catalogue).related(one)) for one in queries]
    means, errors = found.mean(axis=0), found.std(axis=0, ddof=1) / np.sqrt(len(found))
    by_size = {
        str(n): {
            "recall": round(means[0, place], 4),
            "standard_error": round(errors[0, place], 4),
            "of_estimates_alone": round(means[1, place], 4),
        }
        for place, n in enumerate(SIZES)
    }
    figures = {
        "candidates": len(queries[0].rows),
        "customers": len(queries),
        "related_median": float(np.median(related)),
        "by_size": by_size,
    }
    write_result("first_stage", figures)


if __name__ == "__main__":
    typer.run(main)
