"""Bundles of variants are loaded before a plan is followed, and hold up no plan without them."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from threading import Event

import pytest

from app.bundles.active_bundle import RETRY_S, RETRY_UNCHANGED_S, ActiveBundle
from app.bundles.bundle_repository import BundleRepository
from app.catalogue.model import Model
from app.errors import BundleRefusedError
from tests.shop import scorer
from tests.unit.app.conftest import Power, Shop

NONE = frozenset[str]()


@dataclass(frozen=True, slots=True)
class Shelf(BundleRepository):
    """Bundles by hand; each waits until it may be read, and `broken` ones are refused."""

    readable: dict[str, Event] = field(default_factory=dict[str, Event])
    broken: set[str] = field(default_factory=set[str])
    reads: list[str] = field(default_factory=list[str])
    waits: Event = field(default_factory=Event)

    def cause(self, bundle_id: str) -> object:
        return bundle_id, frozenset(self.broken)

    def load(self, bundle_id: str) -> Model:
        self.reads.append(bundle_id)
        if not self.readable[bundle_id].is_set():
            self.waits.set()
        assert self.readable[bundle_id].wait(timeout=30.0)
        if bundle_id in self.broken:
            raise BundleRefusedError(bundle_id, "by hand")
        return Model(replace(scorer(), bundle_id=bundle_id))


@dataclass
class Bench:
    active: ActiveBundle
    shelf: Shelf
    now_s: list[float]


@asynccontextmanager
async def bench(shop: Shop, *readable: str, slow: str = "") -> AsyncGenerator[Bench]:
    shelf, now_s = Shelf(shop.folder / "bundles", None), [0.0]
    shelf.readable.update({one: Event() for one in (*readable, slow)})
    for one in readable:
        shelf.readable[one].set()
    live = shop.live(scorer())
    await live.refresh()
    active = ActiveBundle(
        name="w1",
        store=shop.stores.bundles,
        repository=shelf,
        live=live,
        pool=shop.pool,
        metrics=shop.metrics,
        monotonic_s=lambda: now_s[0],
    )
    try:
        yield Bench(active, shelf, now_s)
    finally:
        for one in shelf.readable.values():
            one.set()


@pytest.fixture
def powered(power: Power, shop: Shop) -> Shop:
    power.on()
    return shop


async def test_bundles_of_variants_are_held_until_a_poll_after_they_are_not_named(
    powered: Shop,
) -> None:
    async with bench(powered, "b1", "b2") as at:
        await at.active.hold(frozenset({"b1", "b2"}))
        assert at.active.live.beside == {"b1", "b2"}

        await at.active.hold(frozenset({"b2"}))
        await at.active.poll()

        assert (at.active.live.beside, at.shelf.reads) == ({"b2"}, ["b1", "b2"])


async def test_while_a_bundle_is_loaded_a_plan_that_needs_no_other_one_does_not_wait(
    powered: Shop,
) -> None:
    """An experiment that harms has to end at once, also while a new bundle becomes active."""
    async with bench(powered, "b1", slow="b2") as at:
        await at.active.hold(frozenset({"b1"}))
        await at.active.store.activate("b2", instead_of="")  # as another worker does
        activating = asyncio.create_task(at.active.poll())
        assert await asyncio.to_thread(at.shelf.waits.wait, 30.0)

        async with asyncio.timeout(10.0):
            await at.active.hold(frozenset({"b1"}))
            await at.active.hold(NONE)
        assert not activating.done()

        at.shelf.readable["b2"].set()
        await activating
        assert at.active.live.beside == NONE


async def test_a_refused_bundle_holds_up_no_plan_and_is_tried_again_by_polls(powered: Shop) -> None:
    async with bench(powered, "b1") as at:
        at.shelf.broken.add("b1")
        for _ in range(2):
            await at.active.hold(frozenset({"b1"}))
        assert at.shelf.reads == ["b1"]
        assert "by hand" in str(at.active.report().failure)

        at.shelf.broken.clear()
        at.now_s[0] += RETRY_S
        await at.active.poll()

        assert (at.active.live.beside, at.active.report().failure) == ({"b1"}, None)


async def test_a_refused_bundle_is_read_again_when_its_files_change_or_after_minutes(
    powered: Shop,
) -> None:
    """Each read takes all of its bytes; that of an active bundle was repeated every 5 seconds."""
    async with bench(powered, "b1") as at:
        at.shelf.broken.add("b1")
        await at.active.hold(frozenset({"b1"}))
        for _ in range(10):
            at.now_s[0] += RETRY_S
            await at.active.poll()
        unchanged = len(at.shelf.reads)
        at.shelf.broken.add("a file more")
        at.now_s[0] += RETRY_S
        await at.active.poll()
        changed = len(at.shelf.reads)
        at.now_s[0] += RETRY_UNCHANGED_S
        await at.active.poll()

        assert (unchanged, changed, len(at.shelf.reads)) == (1, 2, 3)


async def test_a_bundle_that_was_refused_and_mended_is_loaded_before_a_later_plan_is_followed(
    powered: Shop,
) -> None:
    async with bench(powered, "b1") as at:
        at.shelf.broken.add("b1")
        await at.active.hold(frozenset({"b1"}))
        await at.active.hold(NONE)
        await at.active.poll()
        at.shelf.broken.clear()

        await at.active.hold(frozenset({"b1"}))

        assert at.active.live.beside == {"b1"}


async def test_a_shadow_that_cannot_be_loaded_has_its_reason(powered: Shop) -> None:
    async with bench(powered, "b2") as trial:
        await trial.active.store.shadow("b2")
        trial.shelf.broken.add("b2")
        await trial.active.poll()
        refused = trial.active.refusal("b2")
        trial.shelf.broken.clear()
        trial.now_s[0] = RETRY_UNCHANGED_S
        await trial.active.poll()

        assert "by hand" in refused
        assert trial.active.refusal("b2") == ""
