import asyncio
import dataclasses
import threading

import numpy as np
import pytest

from app.catalogue.catalogue_follower import LATE_AFTER_US, CatalogueFollower
from app.catalogue.catalogue_version import Source
from app.catalogue.clock import StoreClock
from app.catalogue.model import Model
from app.errors import StoreUnavailableError
from app.stores.keys import CHANGES
from app.stores.picture import LabelledPicture, RemovedPicture
from models.catalogue.event_counts import HOUR, SaleCounts
from models.catalogue.snapshot import Snapshot
from models.domain.event import KIND, PURCHASE, EventType, key
from models.domain.sale import PictureScores
from models.domain.units import HOUR_US, SECOND_US
from models.neighbours.search import EMBEDDING_SIZE
from tests.shop import sale, scorer
from tests.unit.app.conftest import Power, Shop, WallClock


def known(live: CatalogueFollower) -> list[str]:
    assert live.served is not None
    return sorted(one.sale_id for one in live.served.catalogue.sales)


async def following(shop: Shop, power: Power, *sale_ids: str) -> CatalogueFollower:
    """A follower that has read these sales of a store that runs."""
    power.on()
    live = shop.live(scorer())
    await shop.stores.sales.put([sale(sale_id) for sale_id in sale_ids])
    await live.refresh()
    return live


async def test_what_is_put_and_deleted_shows_at_the_next_refresh(shop: Shop, power: Power) -> None:
    live = await following(shop, power, "s1", "s2")
    first = known(live)

    await shop.stores.sales.put([sale("s3")])
    await shop.stores.sales.delete("s1")
    await live.refresh()

    assert (first, known(live)) == (["s1", "s2"], ["s2", "s3"])


async def test_a_worker_that_starts_without_the_log_of_changes_serves_what_is_stored(
    shop: Shop, power: Power
) -> None:
    """It is of a machine that saved nothing: the log, which was lost, named no sale."""
    await following(shop, power, "s1", "s2")
    await shop.stores.connection.execute("DEL", CHANGES, doing="losing the log")
    live = shop.live(scorer(), archive=shop.archive_of_another_machine)

    await live.refresh()
    first = known(live)
    await shop.stores.sales.put([sale("s3")])
    await live.refresh()

    assert (first, known(live)) == (["s1", "s2"], ["s1", "s2", "s3"])
    assert (live.lacking, (await shop.stores.sales.changes(0)).vouched) == (None, 0)


async def test_nothing_new_leaves_the_very_same_catalogue(shop: Shop, power: Power) -> None:
    power.on()
    live = shop.live(scorer())
    await shop.stores.sales.put([sale("s1")])
    while (await shop.stores.server.time_us()) // SECOND_US % 60 > 55:
        await live.refresh()  # not across the grid of counts
    await live.refresh()
    served = live.served

    await live.refresh()

    assert live.served is served


async def test_loaded_history_counts_even_if_it_comes_after_its_sales(
    shop: Shop, power: Power
) -> None:
    live = await following(shop, power, "s1")
    now_us = await shop.stores.server.time_us()
    field = key("s1").to_bytes(8, "big") + bytes([KIND[EventType.PURCHASE], 0, 0])
    await shop.stores.counts.put_history({now_us // HOUR_US - 2: {field: 7}}, now_us=now_us)
    await shop.stores.sales.put([sale("s2")])

    await live.refresh()

    assert live.served is not None
    catalogue = live.served.catalogue
    row = catalogue.row_for("s1")
    assert catalogue.counts.totals[row, KIND[EventType.PURCHASE]] == 7


async def test_counts_decay_by_the_half_lives_of_each_bundle(shop: Shop, power: Power) -> None:
    live = await following(shop, power, "s1")
    counts = SaleCounts.none(0, half_lives=(2.0, 6.0, 48.0, 336.0))
    other = dataclasses.replace(scorer(), bundle_id="other", counts=counts)
    now_us = await shop.stores.server.time_us()
    field = key("s1").to_bytes(8, "big") + bytes([KIND[EventType.PURCHASE], 0, 0])
    await shop.stores.counts.put_history({now_us // HOUR_US - 2: {field: 8}}, now_us=now_us)
    await live.serve_beside(Model(other))
    await shop.stores.sales.put([sale("s2")])

    await live.refresh()

    found: list[float] = []
    for served in (live.served, live.served_by("other")):
        assert served is not None
        row = served.catalogue.row_for("s1")
        found.append(served.catalogue.counts.decayed[HOUR, row, PURCHASE].item())
    assert found == [8 / 4, 8 / 2]


async def test_a_store_that_goes_away_leaves_the_catalogue_until_it_is_a_minute_old(
    shop: Shop, power: Power
) -> None:
    live = await following(shop, power, "s1")
    power.off()

    with pytest.raises(StoreUnavailableError, match="the store is unavailable"):
        await live.refresh()

    assert known(live) == ["s1"]
    shop.wall.now_us += 60 * SECOND_US
    assert not live.is_stale
    shop.wall.now_us += 1
    assert live.is_stale


async def test_a_store_whose_clock_jumps_is_not_away(shop: Shop, power: Power) -> None:
    """Another machine may take over with another clock; the next catalogue takes its time."""
    power.on()
    clock = StoreClock(shop.wall, shop.wall)
    live = shop.live(scorer(), clock)
    await live.refresh()

    clock.set(clock.now_us() + 3_600 * SECOND_US)

    assert not live.is_stale


async def test_a_store_that_comes_back_is_followed_again(shop: Shop, power: Power) -> None:
    live = shop.live(scorer(sale("seed")))
    await live.fall_back()
    before = known(live)
    power.on()
    await shop.stores.sales.put([sale("s1")])

    await live.refresh()

    assert (before, known(live), live.is_stale) == (["seed"], ["s1"], False)


async def test_without_a_store_the_last_saved_catalogue_is_served(shop: Shop, power: Power) -> None:
    power.on()
    running = shop.live(scorer())
    await shop.stores.sales.put([sale("s1", title="line\u2028separator")])
    await running.refresh()
    assert running.served is not None
    power.off()
    restarted = shop.live(scorer(sale("seed")))

    await restarted.fall_back()

    assert restarted.served is not None
    assert restarted.served.snapshot_id == running.served.snapshot_id
    assert restarted.served.source is Source.SAVED
    assert restarted.is_stale


async def test_a_catalogue_that_the_disk_does_not_take_is_said_until_it_is_saved(
    shop: Shop, power: Power
) -> None:
    power.on()
    live = shop.live(scorer())
    snapshots = power.state_dir / "snapshots"
    snapshots.write_text("a file, and no folder")
    await shop.stores.sales.put([sale("s1")])
    await live.refresh()
    unsaved = live.unsaved
    snapshots.unlink()

    await shop.stores.sales.put([sale("s2")])
    await live.refresh()

    assert "snapshots" in (unsaved or "")
    assert (live.unsaved, live.served is not None) == (None, True)


async def test_a_damaged_saved_catalogue_gives_way_to_the_bundles_own(
    shop: Shop, power: Power
) -> None:
    power.on()
    running = shop.live(scorer())
    await shop.stores.sales.put([sale("s1")])
    await running.refresh()
    assert running.served is not None
    [content] = power.state_dir.glob("snapshots/content-*.npz")
    content.write_bytes(content.read_bytes()[:-100])
    restarted = shop.live(scorer(sale("seed")))

    await restarted.fall_back()

    assert known(restarted) == ["seed"]


async def test_without_store_saved_catalogue_and_bundle_there_is_none(shop: Shop) -> None:
    live = shop.live(None)

    await live.fall_back()

    assert live.served is None


def seen(live: CatalogueFollower) -> list[str]:
    """The sales whose pictures the served model understands."""
    assert live.served is not None
    return sorted(live.served.content.pictures)


def labelled(sale_id: str, scene_model: str, *, number: int = 1) -> LabelledPicture:
    vector = np.zeros(EMBEDDING_SIZE, dtype=np.float32)
    vector[number - 1] = 1.0
    scores = PictureScores(np.array([1.0], dtype=np.float32), vector, vector[:4])
    return LabelledPicture(sale_id, scores, scene_model, number=number)


def numbers(live: CatalogueFollower, sale_id: str) -> list[int]:
    assert live.served is not None
    scores = live.served.content.pictures.get(sale_id)
    return [*scores.each] if scores else []


async def test_pictures_of_a_sale_come_and_go_one_by_one(shop: Shop, power: Power) -> None:
    """What the bundle knows stays below what the store says, number by number."""
    power.on()
    bundled = {
        "s1": PictureScores.combine({n: labelled("s1", "m", number=n).scores for n in (1, 2)})
    }
    model = dataclasses.replace(
        scorer(), scene_model="m", snapshot=Snapshot.from_sales({"s1": sale("s1")}, bundled)
    )
    live = shop.live(model)
    await shop.stores.sales.put([sale("s1")])
    states: list[list[int]] = []
    for change in (
        labelled("s1", "m", number=4),
        RemovedPicture("s1", 2),
        labelled("s1", "other", number=1),
        labelled("s1", "other", number=4),
        labelled("s1", "m", number=2),
    ):
        await shop.stores.sales.put_pictures([change])
        await live.refresh()
        states.append(numbers(live, "s1"))

    assert states == [[1, 2, 4], [1, 4], [1, 4], [1], [1, 2]]
    assert live.n_other_scene_model == 2
    assert live.served is not None
    row = live.served.catalogue.row_for("s1")
    half = 0.5**0.5
    np.testing.assert_allclose(live.served.catalogue.embeddings[row, :2], [half, half], atol=1e-6)


async def test_a_sale_put_under_the_id_of_a_deleted_one_has_nothing_of_its_pictures(
    shop: Shop, power: Power
) -> None:
    """It may be another sale; a worker that starts later knows no better than one that followed."""
    power.on()
    bundled = {"s1": labelled("s1", "m").scores}
    model = dataclasses.replace(
        scorer(), scene_model="m", snapshot=Snapshot.from_sales({"s1": sale("s1")}, bundled)
    )
    live = shop.live(model)
    await shop.stores.sales.put([sale("s1")])
    await live.refresh()
    before = numbers(live, "s1")
    await shop.stores.sales.delete("s1")
    await shop.stores.sales.put([sale("s1")])

    later = shop.live(model)
    await live.refresh()
    await later.refresh()
    after = numbers(live, "s1"), numbers(later, "s1")
    await shop.stores.sales.put_pictures([labelled("s1", "m", number=2)])
    await live.refresh()

    assert (before, after, numbers(live, "s1")) == ([1], ([], []), [2])


async def test_another_model_sees_only_pictures_that_its_scene_model_labelled(
    shop: Shop, power: Power
) -> None:
    power.on()
    old, new = (dataclasses.replace(scorer(), scene_model=name) for name in ("old", "new"))
    live = shop.live(old)
    await shop.stores.sales.put([sale("s1"), sale("s2")])
    await shop.stores.sales.put_pictures([labelled("s1", "old"), labelled("s2", "new")])
    await live.refresh()
    before = seen(live), live.n_other_scene_model

    await live.serve(Model(new))

    after = seen(live), live.n_other_scene_model
    await live.serve(Model(old))
    assert before == (["s1"], 1)
    assert after == (["s2"], 1)
    assert (seen(live), live.n_other_scene_model) == (["s1"], 1)


async def test_a_picture_that_replaced_another_models_leaves_nothing_of_it(
    shop: Shop, power: Power
) -> None:
    """The old scores would be those of another picture."""
    power.on()
    live = shop.live(dataclasses.replace(scorer(), scene_model="old"))
    await shop.stores.sales.put([sale("s1")])
    await shop.stores.sales.put_pictures([labelled("s1", "old")])
    await live.refresh()
    before = seen(live)

    await shop.stores.sales.put_pictures([labelled("s1", "new")])
    await live.refresh()

    assert (before, seen(live), live.n_other_scene_model) == (["s1"], [], 1)


async def test_answers_see_a_catalogue_with_the_scorer_that_it_was_built_for(
    shop: Shop, power: Power
) -> None:
    power.on()
    first, second = scorer(), scorer()
    live = shop.live(first)
    await shop.stores.sales.put([sale("s1")])
    await live.refresh()
    before = live.served

    await live.serve(Model(second))
    await shop.stores.sales.put([sale("s2")])
    await live.refresh()

    assert before is not None
    assert live.served is not None
    assert (before.scorer, live.served.scorer) == (first, second)
    assert known(live) == ["s1", "s2"]


async def test_a_shadow_follows_the_same_sales_with_its_own_scorer(
    shop: Shop, power: Power
) -> None:
    power.on()
    champion, challenger = scorer(), scorer()
    live = shop.live(champion)
    await shop.stores.sales.put([sale("s1")])
    await live.refresh()

    await live.shadow_by(Model(challenger))
    await shop.stores.sales.put([sale("s2")])
    await live.refresh()

    assert live.shadow is not None
    assert live.served is not None
    assert live.shadow.scorer is challenger
    assert live.shadow.content.sales == live.served.content.sales
    await live.shadow_by(None)
    assert live.shadow is None


async def test_a_saved_snapshot_of_another_scene_model_comes_without_its_pictures(
    shop: Shop, power: Power
) -> None:
    power.on()
    old, new = (dataclasses.replace(scorer(), scene_model=name) for name in ("old", "new"))
    running = shop.live(old)
    await shop.stores.sales.put([sale("s1")])
    await shop.stores.sales.put_pictures([labelled("s1", "old")])
    await running.refresh()
    assert running.served is not None
    power.off()

    started = shop.live(new)
    await started.fall_back()

    assert known(started) == ["s1"]
    assert (seen(running), seen(started)) == (["s1"], [])


async def test_the_last_sale_that_is_deleted_is_gone(shop: Shop, power: Power) -> None:
    """A catalogue of no sales is a catalogue: what was shown before it must not stay."""
    live = await following(shop, power, "s1")
    await shop.stores.sales.delete("s1")

    await live.refresh()

    assert live.served is not None
    assert len(live.served.catalogue) == 0


async def test_while_the_store_is_away_its_clock_runs_on_independent_of_the_machines(
    shop: Shop,
) -> None:
    elapsed = WallClock(0)
    clock = StoreClock(shop.wall, elapsed)
    clock.set(5_000 * SECOND_US)

    shown: list[int] = []
    for step_s in (-7_200, 0, 90_000):
        shop.wall.now_us += step_s * SECOND_US
        elapsed.now_us += SECOND_US
        shown.append(clock.now_us() // SECOND_US)

    assert shown == [5_001, 5_002, 5_003]


async def test_a_machine_whose_clock_is_set_does_not_make_a_catalogue_older(
    shop: Shop, power: Power
) -> None:
    power.on()
    elapsed = WallClock(0)
    live = shop.live(scorer(), StoreClock(shop.wall, elapsed))
    await live.refresh()
    shop.wall.now_us += 3_600 * SECOND_US
    before = live.is_stale

    elapsed.now_us += 60 * SECOND_US + 1
    shop.wall.now_us -= 7_200 * SECOND_US

    assert (before, live.is_stale) == (False, True)


async def test_after_a_pause_all_answers_wait_for_one_refresh(shop: Shop, power: Power) -> None:
    live = await following(shop, power, "s1", "s2")
    await live.beat()
    await shop.stores.sales.delete("s1")
    await live.catch_up()
    running = known(live)

    shop.wall.now_us += SECOND_US
    await asyncio.gather(*(live.catch_up() for _ in range(20)))

    assert (running, known(live), live.is_behind) == (["s1", "s2"], ["s2"], False)


async def test_after_a_pause_in_which_the_store_went_away_an_attempt_is_enough(
    shop: Shop, power: Power
) -> None:
    live = await following(shop, power, "s1")
    power.off()
    shop.wall.now_us += SECOND_US

    await live.catch_up()

    assert (known(live), live.is_behind) == (["s1"], False)


async def test_a_change_that_takes_longer_than_a_second_to_build_makes_the_catalogue_late(
    shop: Shop, power: Power
) -> None:
    power.on()
    elapsed = WallClock(0)
    live = shop.live(scorer(), StoreClock(shop.wall, elapsed))
    await live.refresh()
    await shop.stores.sales.put([sale("s1")])
    free = threading.Event()
    shop.pool.submit(free.wait)

    building = asyncio.create_task(live.refresh())
    elapsed.now_us = LATE_AFTER_US
    in_time = live.is_late
    elapsed.now_us += 1
    too_late = live.is_late
    free.set()
    await building
    await live.refresh()

    assert (in_time, too_late, live.is_late, known(live)) == (False, True, False, ["s1"])


async def test_a_catalogue_is_late_until_the_store_is_read_again(shop: Shop, power: Power) -> None:
    """A failed reading brings no change: an acknowledged one may still be missing."""
    power.on()
    elapsed = WallClock(0)
    live = shop.live(scorer(), StoreClock(shop.wall, elapsed))
    await live.refresh()
    power.off()
    elapsed.now_us = LATE_AFTER_US
    with pytest.raises(StoreUnavailableError):
        await live.refresh()
    in_time = live.is_late
    elapsed.now_us += 1
    failed = live.is_late, live.is_stale
    power.on()
    await live.refresh()

    assert (in_time, failed, live.is_late) == (False, (True, False), False)
