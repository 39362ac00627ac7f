"""The contract of the sale store, on the embedded server and on Redis."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from structlog.testing import capture_logs

from app.errors import TooManyAttributesError, TooManyMarketsError
from app.stores.connection import Connection
from app.stores.keys import CHANGES, SALES
from app.stores.picture import ALL_PICTURES, LabelledPicture, RemovedPicture
from app.stores.sale import PAGE, SaleChanges, SaleStore
from models.dataset.schema import MAX_ATTRIBUTES
from models.domain.sale import MAX_MARKETS, MAX_PICTURES, PictureScores, Sale

OPENS = datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)


def sale(sale_id: str, *, title: str | None = None, markets: Sequence[str] = ()) -> Sale:
    return Sale(sale_id=sale_id, title=title, opens_at=OPENS, markets=tuple(markets) or None)


def scores(seed: int) -> PictureScores:
    rng = np.random.default_rng(seed)
    return PictureScores(
        probabilities=rng.random(26, dtype=np.float32),
        embedding=rng.standard_normal(128, dtype=np.float32),
        statistics=rng.random(4, dtype=np.float32),
    )


def sale_ids(changes: SaleChanges) -> list[str]:
    return sorted(sale.sale_id for sale in changes.sales)


class SaleStoreContract:
    """Mix in and provide ``url``, of a server that is emptied."""

    @pytest.fixture
    def store(self, connection: Connection) -> SaleStore:
        return SaleStore(connection)

    async def test_an_empty_store_has_changed_nothing(self, store: SaleStore) -> None:
        changes = await store.changes(0)

        assert changes.version == 0
        assert (changes.sales, changes.pictures, changes.deleted) == ((), (), ())

    async def test_an_unreadable_sale_is_as_if_absent_and_named(
        self, store: SaleStore, connection: Connection
    ) -> None:
        """A former version took texts that this one refuses."""
        await store.put([sale("s1"), sale("s2")])
        broken = sale("s2").model_dump(mode="json") | {"attributes": {"text": "x" * 1_001}}
        await connection.execute("HSET", SALES, "s2", json.dumps(broken), doing="breaking a sale")

        with capture_logs() as lines:
            changes = await store.changes(0)
            read, many = await store.read("s2"), await store.read_many(["s1", "s2"])

        assert sale_ids(changes) == ["s1"]
        assert (changes.n_sales, list(changes.unreadable)) == (2, ["s2"])
        assert "at most 1000 characters" in changes.unreadable["s2"]
        assert (read, list(many)) == (None, ["s1"])
        [line] = lines
        assert (line["n_sales"], list(line["first"])) == (1, ["s2"])

    async def test_a_log_of_changes_that_was_lost_takes_no_stored_record_away(
        self, store: SaleStore, connection: Connection
    ) -> None:
        """As after an eviction of its key alone; deletions are lost with it."""
        await store.put([sale(f"s{n}") for n in range(PAGE + 1)])
        await store.put_pictures([LabelledPicture("s1", scores(1), "m", number=2)])
        await store.delete("s0")
        before = await store.changes(0)
        await connection.execute("DEL", CHANGES, doing="losing the log")
        await store.put([sale("s7", title="changed since"), sale("new")])

        with capture_logs() as lines:
            after = await store.changes(0)
        latest = await store.changes(after.version)
        await store.put([sale(f"s{n}") for n in range(1, PAGE + 1)])
        await store.put_pictures([LabelledPicture("s1", scores(1), "m", number=2)])
        logged = await store.changes(0)

        assert sale_ids(after) == sorted([*sale_ids(before), "new"])
        assert [one.title for one in after.sales if one.sale_id == "s7"] == ["changed since"]
        assert {(one.sale_id, one.number) for one in after.pictures} == {("s1", 2), ("s0", 0)}
        # All sales but two, the picture, and the mark of the deleted sale's pictures.
        assert (before.n_unlogged, after.n_unlogged, latest.n_unlogged) == (0, PAGE + 1, 0)
        assert (latest.sales, after.n_sales) == ((), PAGE + 1)
        assert lines[0]["n_records"] == PAGE + 1
        assert logged.n_unlogged == 1

    async def test_lost_records_of_all_sales_differ_from_sales_that_were_deleted(
        self, store: SaleStore, connection: Connection
    ) -> None:
        await store.put([sale("s1"), sale("s2"), sale("s3")])
        await store.put_pictures([LabelledPicture("s2", scores(1), "m", number=2)])
        await store.delete("s3")
        before = await store.changes(0)
        await connection.execute("DEL", SALES, doing="losing the records")
        lost, since = await store.changes(0), await store.changes(before.version)
        await store.put([sale("s1"), sale("s2")])
        put = await store.changes(0)
        await store.delete("s1")
        await store.delete("s2")
        deleted = await store.changes(0)

        assert [one.n_lost for one in (before, lost, since, put, deleted)] == [0, 2, 0, 0, 0]
        assert (lost.n_sales, deleted.n_sales) == (0, 0)

    async def test_a_sale_comes_back_as_it_was_put(self, store: SaleStore) -> None:
        full = Sale(
            sale_id="s1",
            title="Ski à Val-d’Isère",
            price=399.9,
            markets=("fr", "de"),
            opens_at=OPENS,
            stock=0,
            attributes={"stars": 4.0, "spa": True, "board": None},
        )
        await store.put([full])

        assert (await store.changes(0)).sales == (full,)

    async def test_only_what_changed_since_is_returned(self, store: SaleStore) -> None:
        before = await store.put([sale("s1"), sale("s2")])
        after = await store.put([sale("s2", title="new"), sale("s3")])

        changes = await store.changes(before)

        assert changes.version == after
        assert sale_ids(changes) == ["s2", "s3"]
        assert (await store.changes(after)).version == after
        assert sale_ids(await store.changes(after)) == []

    async def test_a_sale_put_as_it_was_is_no_change(self, store: SaleStore) -> None:
        before = await store.put([sale("s1"), sale("s2")])

        assert await store.put([sale("s2"), sale("s1")]) == before

    async def test_versions_grow_even_when_the_store_was_emptied(
        self, store: SaleStore, connection: Connection
    ) -> None:
        """A worker that polls from an old version must see what was put afterwards."""
        before = await store.put([sale("s1")])
        await connection.execute("FLUSHALL", doing="emptying the store")
        await store.put([sale("s2")])

        assert sale_ids(await store.changes(before)) == ["s2"]

    async def test_a_deleted_sale_is_told_until_it_is_put_again(self, store: SaleStore) -> None:
        before = await store.put([sale("s1")])
        await store.put_pictures([LabelledPicture("s1", scores(1), "m")])

        assert await store.delete("s1")

        deleted = await store.changes(before)
        await store.put([sale("s1")])
        again = await store.changes(before)
        assert (deleted.sales, deleted.deleted) == ((), ("s1",))
        assert (sale_ids(again), again.deleted) == (["s1"], ())
        # The sale that is put again is another one: the old picture is not its.
        assert deleted.unpictured == again.unpictured == (("s1", 1),)

    async def test_markets_are_counted_as_they_are_put(self, store: SaleStore) -> None:
        """One too many, and no worker could build a catalogue from then on."""
        full = [f"m{number}" for number in range(MAX_MARKETS)]
        await store.put([sale("s1", markets=full[:-1]), sale("s2", markets=full[-2:])])

        with pytest.raises(TooManyMarketsError, match="more than 63 markets with sale 's3'"):
            await store.put([sale("s3", markets=["new"]), sale("s4", markets=full[:3])])

        assert sale_ids(await store.changes(0)) == ["s1", "s2", "s4"]
        # The last sale of a market takes it along; one that others name stays.
        await store.put([sale("s2", markets=["new", "new"])])
        with pytest.raises(TooManyMarketsError, match="'s3'"):
            await store.put([sale("s3", markets=[full[-1]])])
        await store.delete("s2")
        await store.put([sale("s3", markets=[full[-1]])])
        assert sale_ids(await store.changes(0)) == ["s1", "s3", "s4"]

    async def test_attributes_are_counted_as_they_are_put(self, store: SaleStore) -> None:
        """One too many, and no dataset could hold them all."""
        full = {f"a{number}": 1.0 for number in range(MAX_ATTRIBUTES)}

        def having(sale_id: str, attributes: dict[str, float]) -> Sale:
            return sale(sale_id).model_copy(update={"attributes": attributes})

        await store.put([having("s1", full)])

        with pytest.raises(TooManyAttributesError, match="more than 100 attributes with sale 's2'"):
            await store.put([having("s2", {"b": 1.0}), having("s3", full)])

        assert sale_ids(await store.changes(0)) == ["s1", "s3"]
        # What is as it was with another price takes no further name, and the last sale of a
        # name takes it along.
        await store.put([having("s1", {"a0": 2.0})])
        await store.delete("s3")
        await store.put([having("s2", {"b": 1.0})])
        assert sale_ids(await store.changes(0)) == ["s1", "s2"]

    async def test_puts_at_the_same_time_do_not_exceed_the_markets_together(
        self, store: SaleStore
    ) -> None:
        halves = [sale(f"s{k}", markets=[f"{k}-{n}" for n in range(32)]) for k in range(3)]

        outcomes = await asyncio.gather(
            *(store.put([half]) for half in halves), return_exceptions=True
        )

        assert sum(isinstance(one, TooManyMarketsError) for one in outcomes) == 2
        assert len(sale_ids(await store.changes(0))) == 1

    async def test_an_emptied_store_is_another_generation(
        self, store: SaleStore, connection: Connection
    ) -> None:
        """Filled again within a poll, it would look like the old one with some changes."""
        nothing = await store.changes(0)
        await store.put([sale("s1")])
        before = await store.changes(0)
        await store.put([sale("s2")])
        later = await store.changes(before.version)

        await connection.execute("FLUSHALL", doing="emptying the store")
        await store.put([sale("s3")])
        after = await store.changes(before.version)

        assert nothing.generation == ""
        assert before.generation == later.generation != after.generation

    async def test_what_is_put_into_a_distrusted_store_makes_no_generation(
        self, store: SaleStore
    ) -> None:
        """Workers that start then must learn that others know more, until it is vouched for."""
        await store.put([sale("s1")])
        seen = await store.changes(0)
        far = seen.version + 10**12
        await store.distrust(seen.generation, far)
        later = await store.put([sale("s2")])
        incomplete = await store.changes(far)

        await store.vouch()

        whole = await store.changes(far)
        assert (seen.vouched, seen.n_sales) == (0, 1)
        assert (incomplete.generation, sale_ids(incomplete)) == ("", ["s2"])
        assert later > far
        assert int(whole.generation) == whole.vouched == whole.version > later
        assert whole.n_sales == 2

    async def test_a_worker_that_is_late_distrusts_nothing_that_was_mended(
        self, store: SaleStore
    ) -> None:
        await store.put([sale("s1")])
        await store.vouch()
        before = await store.changes(0)

        await store.distrust("7", before.version - 1)

        after = await store.changes(0)
        assert (after.generation, after.version) == (before.generation, before.version)

    async def test_a_deleted_sale_leaves_word_that_what_bundles_know_is_not_of_the_next(
        self, store: SaleStore
    ) -> None:
        await store.put([sale("s1")])
        await store.put_pictures([LabelledPicture("s1", scores(1), "m", number=2)])
        await store.delete("s1")

        await store.put([sale("s1")])

        stored, known = await store.read("s1"), (await store.changes(0)).pictures
        assert stored is not None
        assert stored.pictures == known == (RemovedPicture("s1", ALL_PICTURES),)

    async def test_deleting_an_unknown_sale_is_no_change(self, store: SaleStore) -> None:
        before = await store.put([sale("s1")])

        assert not await store.delete("s2")
        assert (await store.changes(before)).version == before
        assert (await store.changes(0)).pictures == ()

    async def test_one_sale_is_read_as_it_stands(self, store: SaleStore) -> None:
        """Read your writes: no worker waits for what it has not followed yet."""
        await store.put([sale("s1", title="first"), sale("s2")])
        await store.put([sale("s1", title="second")])
        pictures = [
            LabelledPicture("s1", scores(1), "m", number=9),
            LabelledPicture("s1", scores(2), "m", is_unlike=True),
            RemovedPicture("s1", 3),
        ]
        await store.put_pictures(pictures)

        first, second = await store.read("s1"), await store.read("s2")

        assert first is not None
        assert second is not None
        assert first.sale.title == "second"
        assert [one.number for one in first.pictures] == [1, 3, 9]
        assert first.pictures[1] == RemovedPicture("s1", 3)
        assert (second.sale, second.pictures) == (sale("s2"), ())
        assert await store.read("s3") is None

    @pytest.mark.parametrize("is_unlike", [None, False, True])
    async def test_whether_a_picture_is_like_a_scene_is_kept(
        self, store: SaleStore, is_unlike: bool | None
    ) -> None:
        await store.put([sale("s1")])
        await store.put_pictures([LabelledPicture("s1", scores(1), "m", is_unlike=is_unlike)])

        [picture] = (await store.changes(0)).pictures

        assert isinstance(picture, LabelledPicture)
        assert picture.is_unlike is is_unlike

    @pytest.mark.parametrize("content", ["", "ab" * 32])
    async def test_picture_scores_come_back_bit_for_bit(
        self, store: SaleStore, content: str
    ) -> None:
        expected = replace(scores(1), content=content)
        await store.put([sale("1é")])
        await store.put_pictures([LabelledPicture("1é", expected, "modèle", number=2)])

        [picture] = (await store.changes(0)).pictures

        assert isinstance(picture, LabelledPicture)
        assert (picture.sale_id, picture.number, picture.scene_model) == ("1é", 2, "modèle")
        assert picture.scores.content == content
        assert picture.scores.probabilities.tobytes() == expected.probabilities.tobytes()
        assert picture.scores.embedding.tobytes() == expected.embedding.tobytes()

    async def test_a_picture_of_a_sale_that_is_gone_is_not_kept(self, store: SaleStore) -> None:
        """A sale may be deleted while its picture is labelled: nothing may be left of it."""
        before = await store.put([sale("s1"), sale("s2")])
        await store.delete("s1")
        pictures = [LabelledPicture(sale_id, scores(1), "m") for sale_id in ("s1", "s2", "s3")]

        unknown = await store.put_pictures(pictures)

        await store.put([sale("s1")])
        assert unknown == {"s1", "s3"}
        pictured = (await store.changes(before)).pictures
        assert [one.sale_id for one in pictured if isinstance(one, LabelledPicture)] == ["s2"]

    async def test_a_deleted_sale_takes_all_its_pictures_along(
        self, store: SaleStore, connection: Connection
    ) -> None:
        await store.put([sale("s1")])
        numbers = range(1, MAX_PICTURES + 1)
        await store.put_pictures([LabelledPicture("s1", scores(n), "m", number=n) for n in numbers])

        await store.delete("s1")

        left = await connection.execute("HGETALL", "s:{sales}:pictures", doing="looking")
        assert left == {f"{ALL_PICTURES}s1".encode(): b"-"}
        assert set((await store.changes(0)).unpictured) == {("s1", n) for n in numbers}

    async def test_more_than_a_page_is_read_whole(self, store: SaleStore) -> None:
        sales = [sale(f"s{i}") for i in range(2 * PAGE)]
        pictures = [LabelledPicture(f"s{i}", scores(i), "m") for i in range(3)]
        await store.put(sales)
        await store.put_pictures(pictures)

        changes = await store.changes(0)

        assert sale_ids(changes) == sorted(s.sale_id for s in sales)
        assert len(changes.pictures) == 3


class TestEmbeddedSaleStore(SaleStoreContract):
    @pytest.fixture
    def url(self, embedded_url: str) -> str:
        return embedded_url


@pytest.mark.redis
class TestRedisSaleStore(SaleStoreContract):
    @pytest.fixture
    def url(self, redis_url: str) -> str:
        return redis_url
