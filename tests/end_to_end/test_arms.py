"""Every recommender serves alone as a variant, over HTTP, and orders as it does offline."""

import json
from collections.abc import Generator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from numpy.typing import NDArray

from models.catalogue.catalogue import Catalogue
from models.domain.customer import Window, pack_member
from models.domain.event import EventType, key, to_us
from models.domain.profile import Profile
from models.query.query import Context, Query
from models.recommenders.registry import RECOMMENDERS as EVERY
from models.scoring.bundle import read_bundle
from models.scoring.scorer import Scorer
from tests.end_to_end.in_process import run_here
from tests.end_to_end.service import Service, http, serving
from tests.plans import LAYER, START

CUSTOMER: Final = "unknown customer"
# Hardly anyone buys a trip twice in the small shop, and no sale is open for more than 14 days.
RECOMMENDERS: Final = [name for name in EVERY if name not in {"buy_again", "bestsellers"}]

LIVE: Final = frozenset({"popularity", "audience"})
"""These order by counters of the last minute, which a test cannot control."""


@dataclass(frozen=True)
class Arms:
    """A service whose variants are its recommenders, and what one customer clicked there."""

    service: Service
    scorer: Scorer
    catalogue: Catalogue
    clicks: dict[str, datetime]

    def order(self, arm: str) -> list[str]:
        """Ask for the page of one variant."""
        answer = http.get(
            f"{self.service.url}/v1/recommendations",
            params={"customer_id": CUSTOMER, "limit": 100, "variant": f"alone:{arm}"},
        ).json()
        assert answer["degraded"] is None
        assert answer["assignments"] == [{"experiment": "alone", "variant": arm, "forced": True}]
        return [item["sale_id"] for item in answer["items"]]

    def offline(self, arm: str, sale_ids: list[str]) -> NDArray[np.float64]:
        """Score sales by the recommender itself, for the same clicks."""
        clicks = [
            pack_member(key(f"e{sale}"), key(sale), at_us=to_us(at), event_type=EventType.CLICK)
            for sale, at in self.clicks.items()
        ]
        rows = self.catalogue.rows_for(np.array([key(one) for one in sale_ids], dtype=np.uint64))
        query = Query(
            Window.from_members(clicks),
            Profile.empty(),
            self.catalogue,
            Context(to_us(datetime.now(UTC))),
            rows,
        )
        return self.scorer.order(self.scorer.score(query), arm)


@pytest.fixture(scope="module")
def arms(
    tiny_bundle: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> Generator[Arms]:
    """Serve a shop with a variant a recommender, where a customer clicks three open sales."""
    bundle, data = tiny_bundle
    folder = tmp_path_factory.mktemp("arms")
    arguments = ["--data", str(data), "--bundle", str(bundle)]
    loaded = run_here("app", "load", *arguments, VITRINE_STATE_DIR=str(folder / "state"))
    assert loaded.exit_code == 0, loaded.output
    plan = folder / "plan.json"
    plan.write_text(json.dumps({"layers": [LAYER], "experiments": [experiment()]}))
    scorer = Scorer.load(read_bundle(bundle))
    catalogue = scorer.seed_catalogue()
    with serving(folder, "--bundle", str(bundle), VITRINE_PLAN=str(plan)) as service:
        service.wait_until("/health/ready", status=200)
        found = Arms(service, scorer, catalogue, {})
        now = datetime.now(UTC)
        for number, sale in enumerate(found.order("popularity")[:3]):
            found.clicks[sale] = now - timedelta(minutes=number)
        events = [
            {
                "event_id": f"e{sale}",
                "customer_id": CUSTOMER,
                "type": "click",
                "sale_id": sale,
                "at": at.isoformat(),
            }
            for sale, at in found.clicks.items()
        ]
        posted = http.post(f"{service.url}/v1/events", json={"events": events})
        assert posted.json()["accepted"] == len(events)
        yield found


def experiment() -> dict[str, object]:
    """One experiment, all of whose variants order by one recommender."""
    share_bp = 10_000 // len(RECOMMENDERS)
    shares = dict.fromkeys(RECOMMENDERS, share_bp)
    shares["popularity"] += 10_000 - share_bp * len(RECOMMENDERS)
    return {
        "name": "alone",
        "layer": LAYER["name"],
        "salt": "alone-1",
        "starts_at": START.isoformat(),
        "control": "popularity",
        "variants": [
            {"name": name, "share_bp": share, "policy": {"order_by": name}}
            for name, share in shares.items()
        ],
    }


@pytest.mark.slow
@pytest.mark.parametrize("arm", sorted(RECOMMENDERS))
def test_a_recommender_serves_alone(arms: Arms, arm: str) -> None:
    page = arms.order(arm)

    assert len(page) == len(set(page)) > 10
    if arm not in LIVE:
        scores = arms.offline(arm, page)
        # A few seconds lie between both: what is all but equal may stand either way.
        known = scores[np.isfinite(scores)]
        # Nothing is known of the customer's attributes.
        assert known.size or arm == "demographic"
        assert np.all(np.diff(known) <= 1e-4 * np.ptp(known)) if known.size else True
        assert not np.isfinite(scores[known.size :]).any()


@pytest.mark.slow
def test_recommenders_disagree(arms: Arms) -> None:
    """If variants had no effect, all pages would be equal."""
    pages = {tuple(arms.order(arm)) for arm in RECOMMENDERS}

    assert len(pages) >= len(RECOMMENDERS) - 1
