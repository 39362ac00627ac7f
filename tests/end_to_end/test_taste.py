"""Clicks of a customer change their next answer, over HTTP and with a real store."""

from collections import defaultdict
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.end_to_end.in_process import run_here
from tests.end_to_end.service import Service, http, serving
from tests.proofs import FULL_SCALE, Proof
from tests.worlds import END_US, train_bundle
from training.simulator.creation import create_world
from training.simulator.parameters import WORLDS
from training.simulator.period import Period

N_CUSTOMERS = 200
AT_LEAST = 60
N_CLICKS = 3
MIN_SALES_OF_A_SCENE = 4
EVERYTHING = 100

# A shop of 200 customers has too few purchases to learn what a taste is worth to everyone: there
# the pictures alone decide, as a variant may have it.
IN_A_SMALL_SHOP = '{"default": {"order_by": "images"}}'
MIN_SHARE = defaultdict(lambda: 0.6, {FULL_SCALE: 0.9})

# The demo's size: in full, the model has enough purchases to learn what a taste is worth.
N_SHOP_CUSTOMERS, N_DAYS = 3_000, 30


@dataclass(frozen=True)
class Shop:
    """A running service, and the scene that each sale's picture shows."""

    service: Service
    scenes: Mapping[str, str]

    def ranks(self, customer: str) -> dict[str, int]:
        """Rank all open sales for a customer."""
        answer = http.get(
            f"{self.service.url}/v1/recommendations",
            params={"customer_id": customer, "limit": EVERYTHING},
        ).json()
        assert answer["degraded"] is None
        return {item["sale_id"]: item["rank"] for item in answer["items"]}

    def click(self, customer: str, sales: list[str]) -> None:
        """Post one click on each sale."""
        events = [
            {
                "event_id": f"{customer}-{sale}",
                "customer_id": customer,
                "type": "click",
                "sale_id": sale,
                "at": datetime.now(UTC).isoformat(),
            }
            for sale in sales
        ]
        posted = http.post(f"{self.service.url}/v1/events", json={"events": events})
        assert posted.json()["accepted"] == len(sales)

    def of_scenes(self, sales: Mapping[str, int]) -> list[list[str]]:
        """Group open sales by scene, the scenes that have enough of them."""
        groups: dict[str, list[str]] = {}
        for sale in sales:
            groups.setdefault(self.scenes[sale], []).append(sale)
        return [group for group in groups.values() if len(group) >= MIN_SALES_OF_A_SCENE]


@pytest.fixture(scope="module")
def shop(
    tiny_bundle: tuple[Path, Path],
    picture_cache: Path,
    proof_share: float,
    tmp_path_factory: pytest.TempPathFactory,
) -> Generator[Shop]:
    """Serve a shop: in full one of the demo's size, else the small one."""
    folder = tmp_path_factory.mktemp("taste")
    bundle, data = tiny_bundle
    if proof_share == FULL_SCALE:
        data = folder / "data"
        period = Period.ending(END_US, N_DAYS)
        create_world(data, WORLDS["standard"], period=period, n_customers=N_SHOP_CUSTOMERS, seed=1)
        bundle = train_bundle(data, folder / "bundles", cache=picture_cache)
    arguments = ["--data", str(data), "--bundle", str(bundle)]
    loaded = run_here("app", "load", *arguments, VITRINE_STATE_DIR=str(folder / "state"))
    assert loaded.exit_code == 0, loaded.output
    truth = pl.read_parquet(data / "truth_sales.parquet")
    scenes = dict(truth.select("sale_id", "scene").iter_rows())
    plan = folder / "plan.json"
    plan.write_text("{}" if proof_share == FULL_SCALE else IN_A_SMALL_SHOP)
    with serving(folder, "--bundle", str(bundle), VITRINE_PLAN=str(plan)) as service:
        service.wait_until("/health/ready", status=200)
        yield Shop(service, scenes)


def climb(sales: list[str], before: Mapping[str, int], after: Mapping[str, int]) -> float:
    """Return by how many ranks sales rose on average; below the page they stand just below."""
    return float(np.mean([before[sale] - after.get(sale, EVERYTHING + 1) for sale in sales]))


@pytest.mark.prove
@pytest.mark.slow
def test_clicks_on_a_scene_raise_its_unseen_sales_and_no_others(shop: Shop, proof: Proof) -> None:
    rng = np.random.default_rng(4)
    related: list[float] = []
    unrelated: list[float] = []
    wanted = max(AT_LEAST, proof.scale(N_CUSTOMERS))
    for number in range(2 * wanted):
        before = shop.ranks(f"visitor{number}")
        if not before or len(related) == wanted:
            continue
        groups = shop.of_scenes(before)
        mine, others = (groups[int(group)] for group in rng.permutation(len(groups))[:2])
        sales = [mine[int(sale)] for sale in rng.permutation(len(mine))]
        shop.click(f"visitor{number}", sales[:N_CLICKS])

        after = shop.ranks(f"visitor{number}")

        related.append(climb(sales[N_CLICKS:], before, after))
        unrelated.append(climb(others, before, after))

    figures = {
        "customers": len(related),
        "share_of_customers_whose_scene_rises": float(np.mean(np.array(related) > 0)),
        "mean_climb_of_the_scene": float(np.mean(related)),
        "share_of_customers_whose_other_scene_rises": float(np.mean(np.array(unrelated) > 0)),
        "mean_climb_of_another_scene": float(np.mean(unrelated)),
    }
    proof.record("taste", figures)
    assert figures["customers"] == wanted
    assert figures["share_of_customers_whose_scene_rises"] >= MIN_SHARE[proof.share], figures
    assert figures["share_of_customers_whose_other_scene_rises"] <= 0.75, figures
    # What rises pushes the rest down; a scene that looks alike may rise a little with it.
    assert figures["mean_climb_of_another_scene"] < figures["mean_climb_of_the_scene"] / 4, figures
