"""Answers recorded by one state of the code and made again by another: ``python -m`` this module.

``record FOLDER [N]`` simulates a small shop, trains a bundle, serves it and keeps N answers (1,000)
in an empty folder. ``compare FOLDER``, with other code, makes them again from their records by the
same bundle and snapshots, prints how many are equal, and exits with 1 if one is not. Answers of
two states can be compared as long as both have one form of bundles and of exposures.
"""

import sys
from pathlib import Path
from typing import Final

import httpx
import numpy as np
import polars as pl

from tests.end_to_end.service import Service, run, serving
from tests.worlds import TINY_SEED, train_bundle, write_world

N_ANSWERS: Final = 1_000
EXPORTED: Final = "exported"


def ask(service: Service, sales: list[str], *, n: int, rng: np.random.Generator) -> list[str]:
    """Ask in every way that the API knows; return the ids of the answers."""
    ids: list[str] = []
    with httpx.Client(base_url=service.url, timeout=60.0) as client:
        for number in range(n):
            customer = f"c{rng.integers(300):07d}"
            some = [str(one) for one in rng.choice(sales, size=12, replace=False)]
            if number % 3 == 0:
                body = {
                    "customer_id": customer,
                    "candidates": some,
                    "ordered": bool(rng.integers(2)),
                }
                answer = client.post("/v1/rank", json=body)
            else:
                asked = {
                    **({"customer_id": customer} if rng.integers(4) else {}),
                    **({"market": "fr"} if rng.integers(2) else {}),
                    "limit": int(rng.integers(1, 30)),
                    "exclude": some[: rng.integers(4)],
                }
                answer = client.get("/v1/recommendations", params=asked)
            assert answer.status_code == 200, answer.text
            ids.append(answer.json()["recommendation_id"])
    return ids


def sale_ids(world: Path) -> list[str]:
    """Return the ids of the sales of a dataset."""
    return pl.read_parquet(world / "sales.parquet")["sale_id"].to_list()


def _command(folder: Path, *words: str) -> None:
    bundles, state = str(folder / "bundles"), str(folder / "state")
    done = run("app", *words, VITRINE_BUNDLES=bundles, VITRINE_STATE_DIR=state)
    sys.stdout.write(done.stdout)
    if done.returncode:
        sys.exit(done.stderr or 1)


def record(folder: Path, n: int) -> None:
    """Make shop and bundle in a folder, and record answers of a service."""
    world = write_world(folder / "world", seed=TINY_SEED)
    bundle = train_bundle(world, folder / "bundles", cache=folder / "cache")
    _command(folder, "load", "--data", str(world))
    with serving(folder, "--bundle", str(bundle)) as service:
        service.wait_until("/health/ready", status=200)
        ask(service, sale_ids(world), n=n, rng=np.random.default_rng(0))
        service.stop()
    _command(folder, "export-events", "--out", str(folder / EXPORTED))


def main() -> None:
    """Run as the arguments say."""
    what, folder, *n = sys.argv[1:]
    if what == "record":
        record(Path(folder).resolve(), int(n[0]) if n else N_ANSWERS)
    else:
        _command(Path(folder).resolve(), "replay", "--all", str(Path(folder).resolve() / EXPORTED))


if __name__ == "__main__":
    main()
