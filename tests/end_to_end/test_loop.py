"""The closed loop: events of visitors train a bundle, and the bundle changes their answers.

Everything between them is a command or a request that a scheduled job can send.
"""

import json
import shutil
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Self, cast

import httpx
import numpy as np
import polars as pl
import pytest

from app.stores.embedded import embedded_server
from models.domain.event import from_us
from tests.clock import ahead, clock_library
from tests.end_to_end.later import serving_later
from tests.end_to_end.service import run
from tests.proofs import Proof
from tests.worlds import END_US

LIBRARY: Final = clock_library()

N_VISITORS: Final = 2_000
AT_LEAST: Final = 200
SLATE: Final = 20
EVERYTHING: Final = 100

EXPLORING: Final = '{"default": {"exploration": {"kind": "plackett_luce", "temperature": 3}}}'
"""Without exploration all see one list, in which position and preference are confounded."""

END: Final = from_us(END_US)
LEARNED_FROM, JUDGED_ON, AFTERWARDS = (timedelta(hours=h) for h in (2, 28, 54))
"""When visitors come, after the end of what the first bundle learned from."""

HISTORY: Final = timedelta(days=4)
JUDGE_HOURS: Final = 27
CONFIGURATION: Final = "outcome_hours = 1\nholdout_share = 0.1\n[trees]\nmax_trees = 80\n"
"""With the default share all visitors, who are the latest, would be in the holdout."""

N_WAVES: Final = 5
WAVES_APART: Final = timedelta(hours=4)
"""Waves lie apart, so that a visit has earlier visits in the log to learn from."""

LEAST_RISE: Final = 0.3
"""Least rise of the category's mean rank over the first bundle, as a share of all ranks."""

TAKES: Final = timedelta(seconds=5)
"""Time between two events of a visitor."""


@dataclass
class Visitors:
    """Visitors who open the sales of one category, buy one of them, and nothing else."""

    client: httpx.Client
    taste: str
    categories: dict[str, str]
    rng: np.random.Generator
    answers: Counter[str] = field(default_factory=Counter[str])
    events: Counter[str] = field(default_factory=Counter[str])

    def come(self, name: str, n: int, *, now: datetime) -> None:
        """Ask, look, open what they like, and buy any of it."""
        for number in range(n):
            customer = f"{name}-{number}"
            answer = self.ask(customer, limit=SLATE)
            shown = [item["sale_id"] for item in answer["items"]]
            liked = [sale for sale in shown if self.categories[sale] == self.taste]
            bought = [str(sale) for sale in self.rng.permutation(liked)[:1]]
            deeds = {"impression": shown, "click": liked, "purchase": bought}
            events = [
                {
                    "event_id": f"{customer}-{kind}-{sale}",
                    "customer_id": customer,
                    "session_id": customer,
                    "exposure_id": answer["recommendation_id"],
                    "type": kind,
                    "sale_id": sale,
                    "position": shown.index(sale) + 1,
                    "at": (now + step * TAKES).isoformat(),
                }
                for step, (kind, sales) in enumerate(deeds.items())
                for sale in sales
            ]
            posted = self.client.post("/v1/events", json={"events": events})
            assert posted.json()["accepted"] == len(events), posted.text
            self.events.update({kind: len(sales) for kind, sales in deeds.items()})

    def ask(self, customer: str, *, limit: int) -> dict[str, list[dict[str, str]]]:
        """Ask for a full answer; after hours at one jump the catalogue is old until it is read."""
        query = {"customer_id": customer, "limit": limit}
        while True:
            answer = self.client.get("/v1/recommendations", params=query).json()
            self.answers[answer["bundle"]] += 1
            if answer["degraded"] != "snapshot":
                assert answer["degraded"] is None, answer
                return cast("dict[str, list[dict[str, str]]]", answer)

    def places(self) -> dict[str, float]:
        """Mean rank of each category, from 0 to 1, by the probabilities of an unknown customer."""
        items = self.ask("stranger", limit=EVERYTHING)["items"]
        by_category: dict[str, list[float]] = {}
        best_first = sorted(items, key=lambda item: -float(item["purchase_probability"]))
        for rank, item in enumerate(best_first):
            category = self.categories[item["sale_id"]]
            by_category.setdefault(category, []).append(rank / (len(items) - 1))
        return {category: float(np.mean(ranks)) for category, ranks in by_category.items()}


@dataclass(frozen=True)
class Shop:
    """A dataset that may be written to, and bundles; commands work on them as scheduled jobs do."""

    data: Path
    bundles: Path
    folder: Path
    store: str

    @classmethod
    def of(cls, made: tuple[Path, Path], folder: Path, store: str) -> Self:
        """Begin with the bundle and the dataset of a shop; its pictures are only read."""
        bundle, world = made
        shop = cls(folder / "shop", folder / "bundles", folder, store)
        shop.data.mkdir()
        shutil.copy(world / "sales.parquet", shop.data)
        events = pl.read_parquet(world / "events.parquet").filter(pl.col("at") > END - HISTORY)
        events.write_parquet(shop.data / "events.parquet")
        for name in ("images", "scenes"):
            (shop.data / name).symlink_to(world / name)
        shutil.copytree(bundle, shop.bundles / bundle.name)
        return shop

    @property
    def categories(self) -> dict[str, str]:
        """Category by sale."""
        table = pl.read_parquet(self.data / "sales.parquet")
        return dict(table.select("sale_id", "category").iter_rows())

    def command(self, *words: str, **variables: str) -> dict[str, object]:
        """Run a command, and return its output."""
        settings = {"VITRINE_BUNDLES": str(self.bundles), "VITRINE_REDIS_URL": self.store}
        done = run(*words, "--json", **settings, **variables)
        assert done.returncode == 0, done.stdout + done.stderr
        return cast("dict[str, object]", json.loads(done.stdout))

    def train(self, cache: Path, library: Path) -> dict[str, object]:
        """Run a night after all events.

        Without the answers: by the few purchases that followed drawn ones the gate on the own
        log would judge by chance; see `test_own_log`.
        """
        (self.data / "exposures.parquet").unlink()
        (self.folder / "config.toml").write_text(CONFIGURATION)
        return self.command(
            *("training", "nightly", "--data", str(self.data), "--bundles", str(self.bundles)),
            *("--judge-hours", str(JUDGE_HOURS), "--cache", str(cache)),
            *("--config", str(self.folder / "config.toml")),
            *("--state", str(self.folder / "nightly")),
            *("--profiles", str(self.folder / "profiles")),
            **ahead(library, until(END + AFTERWARDS)),
        )

    def settings(self) -> dict[str, str]:
        """Environment of its service."""
        waits = {"read_timeout_ms": "5000", "deadline_ms": "10000"}
        plan, state = self.folder / "plan.json", self.folder / "state"
        plan.write_text(EXPLORING)
        places = {"bundles": str(self.bundles), "plan": str(plan), "state_dir": str(state)}
        return {"redis_url": self.store, **places, **waits}


def until(moment: datetime) -> int:
    """Seconds from now."""
    return round((moment - datetime.now(UTC)).total_seconds())


@pytest.mark.prove
@pytest.mark.slow
@pytest.mark.clock
@pytest.mark.skipif(LIBRARY is None, reason="Debian's faketime is not installed")
def test_what_visitors_do_becomes_a_bundle_that_changes_what_they_see(
    tmp_path: Path,
    tiny_bundle: tuple[Path, Path],
    picture_cache: Path,
    rng: np.random.Generator,
    proof: Proof,
) -> None:
    assert LIBRARY is not None
    n_visitors = max(AT_LEAST, proof.scale(N_VISITORS))
    with embedded_server(tmp_path / "store") as store:
        shop = Shop.of(tiny_bundle, tmp_path, store)
        history = pl.read_parquet(shop.data / "events.parquet").height
        shop.command("app", "load", "--data", str(shop.data))
        with (
            serving_later(tmp_path, until(END + LEARNED_FROM), **shop.settings()) as service,
            httpx.Client(base_url=service.url, timeout=60.0) as client,
        ):
            service.wait_until("/health/ready", status=200)
            visitors = Visitors(client, "", shop.categories, rng)
            places = visitors.places()
            visitors.taste = max(places, key=lambda category: places[category])
            for wave in range(N_WAVES):
                now = END + LEARNED_FROM + wave * WAVES_APART
                service.move(until(now))
                visitors.come(f"early-{wave}", n_visitors // N_WAVES, now=now)
            service.move(until(END + JUDGED_ON))
            visitors.come("late", n_visitors, now=END + JUDGED_ON)
            service.move(until(END + AFTERWARDS))
            visitors.come("last", 1, now=END + AFTERWARDS)
            before, answers = visitors.places()[visitors.taste], visitors.answers.copy()

            exported = shop.command("app", "export-events", "--out", str(shop.data))
            night = shop.train(picture_cache, LIBRARY)
            known = shop.command(
                "app", "load-profiles", "--profiles", str(shop.folder / "profiles")
            )
            active = shop.command("app", "activate", "--url", service.url)["active"]
            early = client.get("/v1/customers/early-0-0").json()
            after = visitors.places()[visitors.taste]

    proof.record(
        "loop",
        {
            "visitors": 2 * n_visitors + 1,
            "answers": answers.total(),
            "events": dict(visitors.events),
            "verdict": night["verdict"],
            "place_before": round(before, 3),
            "place_after": round(after, 3),
        },
    )
    posted = visitors.events.total()
    assert (exported["exposures"], exported["events"]) == (answers.total(), posted)
    assert exported["total_events"] == history + posted
    assert night["verdict"] == "published", night["reasons"]
    # The night ended after the late visitors came: of all who came before it knows.
    assert Path(str(night["profiles"])) == Path(str(known["profiles"]))
    assert n_visitors < cast("int", known["customers"])
    assert early["profile"]["counts"]["impression"] == SLATE, early
    assert active == night["published"] != tiny_bundle[0].name
    # From the activation on all answers are the new bundle's, and it learned what is liked:
    # counts alone, which are live, had raised it under the first bundle, too.
    assert visitors.answers - answers == {active: 1}
    assert after < min(before, places[visitors.taste] - LEAST_RISE)
