"""A shop's own columns are learned from: planted tastes for them are found, and need them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from pydantic import TypeAdapter
from typer.testing import CliRunner

from tests.proofs import Proof
from training.__main__ import app

N_SALES: Final = 400
N_CUSTOMERS: Final = 1_500
N_DAYS: Final = 20
N_LISTS: Final = 30_000
OPEN_DAYS: Final = 4.0
START: Final = datetime(2026, 10, 1, tzinfo=UTC)
UNTIL: Final = START + timedelta(days=15)
BOARDS: Final = ("none", "breakfast", "half", "full")
PARTIES: Final = ("solo", "couple", "family", "group")
OWN: Final = ["stars", "board", "has_pool", "article"]
NEWCOMERS: Final = 0.3
"""Share of the lists that are the first and last of their customer."""

Lists = dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]


def write_shop(folder: Path, n_lists: int) -> Lists:
    """Lists in a random order, of which customers buy by stars, by their board and by pools.

    The board goes by the party they travel with, and pools are for the young: what a customer is
    multiplies what a sale is. Without pictures, texts and prices.

    Returns:
        By list, the probability of a purchase of each sale and whether it was bought.
    """
    folder.mkdir(parents=True)
    rng = np.random.default_rng(5)
    opens = np.sort(rng.uniform(0, N_DAYS - 1, N_SALES))
    stars, board = rng.integers(1, 6, N_SALES), rng.integers(0, 4, N_SALES)
    pool = rng.random(N_SALES) < 0.4
    columns: dict[str, object] = {
        "sale_id": [f"s{row}" for row in range(N_SALES)],
        "opens_at": [START + timedelta(days=day) for day in opens.tolist()],
        "closes_at": [START + timedelta(days=day + OPEN_DAYS) for day in opens.tolist()],
        "stars": stars,
        "board": [BOARDS[code] for code in board.tolist()],
        "has_pool": pool,
        "article": [f"A{row}" for row in range(N_SALES)],
    }
    pl.DataFrame(columns).write_parquet(folder / "sales.parquet")
    n_customers = N_CUSTOMERS + n_lists
    liked, age = rng.integers(0, 4, n_customers), rng.integers(18, 80, n_customers)
    customers: dict[str, object] = {
        "customer_id": [f"c{row}" for row in range(n_customers)],
        "party": [PARTIES[code] for code in liked.tolist()],
        "age": age,
    }
    pl.DataFrame(customers).write_parquet(folder / "customers.parquet")
    rows: list[tuple[str, str, str, str, datetime, str]] = []
    lists: Lists = {}
    for number, day in enumerate(np.sort(rng.uniform(0.5, N_DAYS, n_lists)).tolist()):
        is_new = rng.random() < NEWCOMERS
        customer = N_CUSTOMERS + number if is_new else int(rng.integers(N_CUSTOMERS))
        shown = rng.permutation(np.flatnonzero((opens <= day) & (day < opens + OPEN_DAYS)))[:10]
        match = 1.4 * (board[shown] == liked[customer]) + 0.8 * (pool[shown] & (age[customer] < 45))
        odds = -2.0 + match + 0.5 * (stars[shown] - 3)
        opening = 1 / (1 + np.exp(-odds))
        clicked = rng.random(len(shown)) < opening
        bought = clicked & (rng.random(len(shown)) < 0.25)
        at, who, exposure = START + timedelta(days=day), f"c{customer}", f"x{number}"
        outcomes = (("impression", bought | True), ("click", clicked), ("purchase", bought))
        for after, (kind, marks) in enumerate(outcomes):
            when = at + timedelta(minutes=after)
            rows += [
                (f"{kind}-{number}-{row}", who, f"s{row}", kind, when, exposure)
                for row in shown[marks].tolist()
            ]
        lists[exposure] = (opening * 0.25, bought.astype(np.float64))
    names = ["event_id", "customer_id", "sale_id", "type", "at", "exposure_id"]
    pl.DataFrame(rows, names, orient="row").write_parquet(folder / "events.parquet")
    return lists


def run(*words: object) -> str:
    result = CliRunner().invoke(app, list(map(str, words)))
    assert result.exit_code == 0, result.stderr
    return result.stdout


Figures = dict[str, dict[str, float]]
"""Mean nDCG@10 by the lists that it is of, and by scorer."""


def ndcg(data: Path, root: Path) -> Figures:
    """Judge a bundle that learned from the first fifteen days, on later lists and on new ones."""
    until = UNTIL.strftime("%Y-%m-%dT%H:%M:%S")
    trained = run("train", "--data", data, "--out", root, "--until", until, "--json")
    bundle = TypeAdapter(dict[str, object]).validate_json(trained)["directory"]
    judged = run(
        *("evaluate", "--bundle", bundle, "--data", data, "--from", until),
        *("--protocol", "shown", "--json"),
    )
    report = TypeAdapter(dict[str, object]).validate_json(judged)
    of_scorers = TypeAdapter(dict[str, dict[str, dict[str, object]]])
    parts = TypeAdapter(dict[str, dict[str, object]])
    found = {
        "all": of_scorers.validate_python(parts.validate_python(report["figures"])["shown"]),
        "cold": of_scorers.validate_python(
            parts.validate_python(parts.validate_python(report["segments"])["shown"])[
                "customers: cold"
            ]
        ),
    }
    return {
        lists: {name: float(str(by["ndcg_at_10"]["value"])) for name, by in scorers.items()}
        for lists, scorers in found.items()
    }


def of_truth(lists: Lists) -> float:
    """Mean nDCG of the lists of the last days that sold, ordered by the true probability."""
    judged: list[float] = []
    last = round(len(lists) * (N_DAYS - 5 - 0.5) / (N_DAYS - 0.5))
    for probabilities, bought in list(lists.values())[last:]:
        if bought.any():
            fades = 1 / np.log2(np.arange(2, len(bought) + 2))
            best = np.sort(bought)[::-1] @ fades
            judged.append(float(bought[np.argsort(-probabilities)] @ fades / best))
    return float(np.mean(judged))


@pytest.mark.prove
@pytest.mark.slow
def test_planted_tastes_for_a_shops_own_columns_are_found(tmp_path: Path, proof: Proof) -> None:
    shop, bare = tmp_path / "shop", tmp_path / "bare"
    lists = write_shop(shop, max(1_200, proof.scale(N_LISTS)))
    found = ndcg(shop, tmp_path / "bundles")
    for scorers in found.values():
        assert scorers["meta"] > scorers["random"]
        assert scorers["demographic"] > scorers["random"]
    if proof.share < 1:
        return  # a few lists say little; that the columns are learned from is what they show

    bare.mkdir()
    pl.read_parquet(shop / "sales.parquet").drop(OWN).write_parquet(bare / "sales.parquet")
    (bare / "events.parquet").hardlink_to(shop / "events.parquet")
    without = ndcg(bare, tmp_path / "bundles")
    # Any order of a list is as good for a newcomer as for others.
    truth, chance = of_truth(lists), found["all"]["random"]
    reached, reached_cold, reached_without = (
        (scorers["meta"] - chance) / (truth - chance)
        for scorers in (found["all"], found["cold"], without["all"])
    )
    figures = {"share_of_lift": reached, "of_newcomers": reached_cold, "without": reached_without}
    proof.record("attributes", {"ndcg": found, "truth": truth, **figures})
    assert min(reached, reached_cold) >= 0.8 > reached_without, figures
