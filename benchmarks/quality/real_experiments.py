"""The sequential test on real A/B tests, beside looking at a fixed test every day.

``python -m benchmarks.quality.real_experiments --data DIR`` reads ``experiments.parquet``:
cumulative counts, means and variances of a control and a treatment at every look (Liu, Cardoso,
Couturier and McCoy, Datasets for Online Controlled Experiments, NeurIPS 2021). The last look of a
test is taken as its planned size. It is not known which of the tests have a true effect.
"""

import argparse
from collections.abc import Iterator, Mapping
from itertools import accumulate
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np
import polars as pl

from benchmarks.results import write_result
from models.experiments.analysis.contrast import Contrast
from models.experiments.analysis.estimate import LEVEL
from models.experiments.analysis.moments import Moments
from models.experiments.analysis.sample_ratio import sample_ratio
from models.experiments.analysis.sequential_test import always_valid_p, may_look

# The first metric of the dataset is binary, the others are counts or amounts.
_BINARY: Final = 1
_TEST: Final = ("metric_id", "experiment_id", "variant_id")


def _moments(row: Mapping[str, float], side: str) -> Moments:
    n, mean = round(row[f"count_{side}"]), row[f"mean_{side}"]
    squares = row[f"variance_{side}"] * (n - 1) + n * mean**2
    products = np.array([[squares, n * mean, 0], [n * mean, n, 0], [0, 0, 0]])
    return Moments(n, np.array([n * mean, n, 0]), products)


def _looks(test: pl.DataFrame, *, is_share: bool) -> list[Contrast]:
    rows = test.sort("time_since_start").iter_rows(named=True)
    return [
        Contrast.from_moments(_moments(row, "t"), _moments(row, "c"), is_share=is_share)
        for row in rows
    ]


def _tests(data: pl.DataFrame) -> Iterator[tuple[int, list[Contrast]]]:
    complete = data.drop_nulls().drop_nans()
    for (metric, *_), test in complete.group_by(_TEST, maintain_order=True):
        yield int(str(metric)), _looks(test, is_share=metric == _BINARY)


def _figures(tests: list[list[Contrast]]) -> dict[str, float | int | None]:
    fixed = [[one.p_value() <= LEVEL for one in looks] for looks in tests]
    safe: list[list[float]] = []
    for looks in tests:
        planned = looks[-1].n_units
        ps = [
            always_valid_p(one.z_score(), one.n_units, planned_units=planned)
            if may_look(one)
            else 1.0
            for one in looks
        ]
        safe.append(list(accumulate(ps, min)))
    stops = [next((i for i, p in enumerate(ps) if p <= LEVEL), None) for ps in safe]
    stopped = [
        (looks, i, ended[-1])
        for looks, i, ended in zip(tests, stops, fixed, strict=True)
        if i is not None
    ]
    return {
        "tests": len(tests),
        "significant_at_some_look": sum(any(one) for one in fixed),
        "significant_at_the_last_look": sum(one[-1] for one in fixed),
        "stopped_by_the_sequential_test": len(stopped),
        "median_share_of_units_at_the_stop": median(
            looks[i].n_units / looks[-1].n_units for looks, i, _ in stopped
        )
        if stopped
        else None,
        "stopped_and_significant_at_the_last_look": sum(is_last for *_, is_last in stopped),
        "stopped_with_the_sign_of_the_last_look": sum(
            looks[i].z_score() * looks[-1].z_score() > 0 for looks, i, _ in stopped
        ),
    }


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="Holds experiments.parquet.")
    data = pl.read_parquet(parser.parse_args().data / "experiments.parquet")
    by_metric: dict[int, list[list[Contrast]]] = {}
    for metric, looks in _tests(data):
        by_metric.setdefault(metric, []).append(looks)
    last = data.filter(metric_id=_BINARY).sort("time_since_start").group_by(_TEST).last()
    ratios = [
        sample_ratio({"c": round(c), "t": round(t)}, {"c": 1, "t": 1})
        for c, t in last.select("count_c", "count_t").drop_nulls().iter_rows()
    ]
    write_result(
        "real-experiments",
        {
            "all": _figures([looks for tests in by_metric.values() for looks in tests]),
            **{f"metric {metric}": _figures(tests) for metric, tests in by_metric.items()},
            "sample_ratio": {
                "tests": len(ratios),
                "alarms_of_equal_shares": sum(one.alarm for one in ratios),
            },
        },
    )


if __name__ == "__main__":
    main()
