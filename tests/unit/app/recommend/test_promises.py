"""Any history of sales, clocks and outages: slates hold eligible sales only, and enough of them."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from app.catalogue.catalogue_follower import LATE_AFTER_US, CatalogueFollower
from app.catalogue.clock import StoreClock
from app.catalogue.model import Model
from app.catalogue.sale_writer import with_sell_out
from app.catalogue.snapshot_archive import SnapshotArchive
from app.errors import StoreUnavailableError, UnknownMarketError
from app.experiments.live_plan import LivePlan
from app.experiments.plan_file import PlanFile
from app.observability import Metrics
from app.promotion.answer_counter import AnswerCounter
from app.recommend.answer_counts import AnswerCounts
from app.recommend.degraded_log import Degradation
from app.recommend.exposure_queue import ExposureQueue
from app.recommend.impression_shares import ImpressionShares
from app.recommend.pipeline import Origin, RecommendationPipeline
from app.recommend.ranking import SlateRanker
from app.recommend.request import RecommendationRequest
from app.recommend.rule_budgets import RuleBudgets
from app.recommend.shadow import Shadow
from app.stores.customer import CustomerStore
from app.stores.customer_state import CustomerState
from app.stores.embedded import embedded_server
from app.stores.plan import StoredPlan
from app.stores.store import Stores
from models.domain.event import from_us, to_us
from models.domain.sale import Sale
from models.domain.units import SECOND_US
from models.experiments.plan.plan import Plan
from models.query.candidates import CallerChoice
from tests.shop import scorer
from tests.unit.app.conftest import WallClock
from tests.unit.app.experiments.test_live_plan import no_bundles

SALE_IDS = [f"s{number}" for number in range(8)]
MARKETS = ["fr", "de"]
STALE_US = 60 * SECOND_US


class Wire(CustomerStore):
    """A store that can be cut off."""

    is_cut = False

    async def read(self, customer_id: str, *, within_s: float | None = None) -> CustomerState:
        if self.is_cut:
            doing = "reading a customer"
            raise StoreUnavailableError(doing, "the wire is cut")
        return await super().read(customer_id, within_s=within_s)


def may_be_shown(one: Sale, now_us: int, market: str | None) -> bool:
    """The promise, in its own words."""
    opened = to_us(one.opens_at) <= now_us
    closed = one.closes_at is not None and to_us(one.closes_at) <= now_us
    sold_out = one.stock == 0 or (one.sold_out_at is not None and to_us(one.sold_out_at) <= now_us)
    elsewhere = market is not None and one.markets is not None and market not in one.markets
    return opened and not (closed or sold_out or elsewhere)


class Promises(RuleBasedStateMachine):
    """A shop, its store, and checks of every answer."""

    def __init__(self) -> None:
        super().__init__()
        self.opened = ExitStack()
        self.loop = asyncio.new_event_loop()
        self.opened.callback(self.loop.close)
        self.sales: dict[str, Sale] = {}

    @initialize()
    def open_shop(self) -> None:
        folder = Path(self.opened.enter_context(TemporaryDirectory()))
        url = self.opened.enter_context(embedded_server(folder))
        pool = self.opened.enter_context(ThreadPoolExecutor(1))
        self.stores = Stores.open(url, timeout_s=10.0)
        self.opened.callback(lambda: self.loop.run_until_complete(self.stores.server.close()))
        self.wall, metrics = WallClock(), Metrics()
        clock, archive = StoreClock(self.wall, self.wall), SnapshotArchive(folder / "snapshots")
        self.live = CatalogueFollower(
            self.stores, Model(scorer()), archive=archive, clock=clock, pool=pool, metrics=metrics
        )
        self.wire = Wire(self.stores.connection)
        first, counter = StoredPlan(0, Plan()), AnswerCounter()
        file = PlanFile(folder / "plan.json")
        plan = LivePlan(self.stores.plans, first, file=file, hold=no_bundles, metrics=metrics)
        self.pipeline = RecommendationPipeline(
            customers=self.wire,
            live=self.live,
            clock=clock,
            ranker=SlateRanker(metrics),
            exposures=ExposureQueue(self.stores.exposures, archive, pool=pool, metrics=metrics),
            origin=Origin(plan, ()),
            degradation=Degradation(lambda: 0.0),
            shadow=Shadow(self.live, pool=pool, metrics=metrics.shadow, counter=counter),
            counts=AnswerCounts(metrics, counter),
            budgets=RuleBudgets(
                self.stores.spending, worker="w1", rules=lambda: plan.current.plan.rules
            ),
            shares=ImpressionShares(metrics.rules),
            read_timeout_s=10.0,
            deadline_s=10.0,
            new_id=lambda: "r",
        )
        self._refresh()

    @rule(
        sale_id=st.sampled_from(SALE_IDS),
        opens_s=st.sampled_from([-7_200, -60, -1, 30, 90]),
        lasts_s=st.sampled_from([None, 1, 45, 120, 7_260]),
        stock=st.sampled_from([None, 0, 3]),
        markets=st.sampled_from([None, ("fr",), ("de",), ("fr", "de")]),
    )
    def put(
        self,
        *,
        sale_id: str,
        opens_s: int,
        lasts_s: int | None,
        stock: int | None,
        markets: tuple[str, ...] | None,
    ) -> None:
        """A sale opens, closes, sells out, comes back, or changes its markets."""
        if self.wire.is_cut:
            return
        now = from_us(self.loop.run_until_complete(self.stores.server.time_us()))
        opens_at = now + timedelta(seconds=opens_s)
        closes_at = None if lasts_s is None else opens_at + timedelta(seconds=lasts_s)
        given = Sale(
            sale_id=sale_id, opens_at=opens_at, closes_at=closes_at, stock=stock, markets=markets
        )
        self.sales[sale_id] = with_sell_out(given, self.sales.get(sale_id), now=now)
        self.loop.run_until_complete(self.stores.sales.put([self.sales[sale_id]]))
        self._refresh()

    @rule(sale_id=st.sampled_from(SALE_IDS))
    def delete(self, sale_id: str) -> None:
        if not self.wire.is_cut:
            self.sales.pop(sale_id, None)
            self.loop.run_until_complete(self.stores.sales.delete(sale_id))
            self._refresh()

    @rule(seconds=st.sampled_from([1, 20, 61, 3_600]))
    def pass_time(self, seconds: int) -> None:
        """This machine's clock runs on, and the process runs; the store's says what it says."""
        for _ in range(2 * seconds):
            self.wall.now_us += SECOND_US // 2
            self.loop.run_until_complete(self.live.beat())
        if not self.wire.is_cut:
            self._refresh()

    @rule(is_cut=st.booleans())
    def cut_or_mend(self, *, is_cut: bool) -> None:
        self.wire.is_cut = is_cut
        if not is_cut:
            self._refresh()

    @rule(
        market=st.sampled_from([None, *MARKETS, "elsewhere"]),
        limit=st.integers(1, 9),
        exclude=st.sets(st.sampled_from(SALE_IDS), max_size=3),
        named=st.booleans(),
    )
    def look(self, *, market: str | None, limit: int, exclude: set[str], named: bool) -> None:
        request = RecommendationRequest(
            customer_id="c1" if named else None,
            market=market,
            limit=limit,
            choice=CallerChoice(exclude=tuple(exclude)),
        )

        answering = self.pipeline.recommend(request, ends_s=inf)
        try:
            record = self.loop.run_until_complete(answering).record
        except UnknownMarketError:
            assert all(market not in (one.markets or ()) for one in self.sales.values())
            return

        shown = [one.sale_id for one in record.slate]
        allowed = {
            sale_id
            for sale_id, one in self.sales.items()
            if may_be_shown(one, record.now_us, market) and sale_id not in exclude
        }
        assert set(shown) <= allowed
        assert len(shown) == len(set(shown)) == min(limit, len(allowed))
        assert record.degraded == (self._expected(named=named) if allowed else "empty")

    def _expected(self, *, named: bool) -> str | None:
        unread_us = self.wall.now_us - self.confirmed_us
        if unread_us > STALE_US:
            return "snapshot"
        if unread_us > LATE_AFTER_US:
            return "remembered"
        return "anonymous" if self.wire.is_cut and named else None

    def _refresh(self) -> None:
        self.loop.run_until_complete(self.live.refresh())
        self.confirmed_us = self.wall.now_us

    def teardown(self) -> None:
        self.opened.close()


Promises.TestCase.settings = settings(max_examples=12, stateful_step_count=30, deadline=None)
TestPromises = Promises.TestCase
