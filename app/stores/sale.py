"""Store of the catalogue: sales, scores of their pictures, and a log of changes.

Scripts: ``change_catalogue``, ``read_changes``, ``vouch_for_catalogue``, ``distrust_catalogue``.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, cast

from pydantic import ValidationError

from app.bounded_log import BoundedLog
from app.errors import MAX_NAMED, TooManyAttributesError, TooManyMarketsError
from app.stores.connection import Connection, Script
from app.stores.keys import (
    ATTRIBUTES,
    CHANGES,
    GENERATION,
    MARKETS,
    PICTURES,
    SALES,
    VERSION,
    VOUCHED,
)
from app.stores.numbers import whole_number
from app.stores.picture import ALL_PICTURES, REMOVED, StoredPicture, pack_picture, unpack_picture
from models.dataset.schema import MAX_ATTRIBUTES
from models.domain.errors import plain_message
from models.domain.sale import COVER, MAX_MARKETS, MAX_PICTURES, Sale

CHANGE_CATALOGUE: Final = Script.named("change_catalogue", after=["version", "counter"])
READ_CHANGES: Final = Script.named("read_changes", after=["version"])
VOUCH_FOR_CATALOGUE: Final = Script.named("vouch_for_catalogue", after=["version"])
DISTRUST_CATALOGUE: Final = Script.named("distrust_catalogue", after=["version"])

# What one script call touches: some milliseconds in which the store serves no other client.
PAGE: Final = 500

UNLOGGED_ADVICE: Final = (
    "workers that start read each record; load the dataset again (`python -m app load --data DIR`),"
    " or put each sale and picture, which logs them anew"
)

_KEYS: Final = (SALES, PICTURES, CHANGES, VERSION, GENERATION)
_SALE: Final = "s"
_PICTURE: Final = "p"
_UNREADABLE: Final = "u"
_DELETED: Final = b""
_READING: Final = "reading the catalogue"
_NUMBERS: Final = range(COVER, MAX_PICTURES + 1)
_DIGITS: Final = frozenset(map(str, (ALL_PICTURES, *_NUMBERS)))

Change = tuple[str, bytes]
Place = tuple[str, int]
"""A sale's id and the number of one of its pictures."""


@dataclass(frozen=True, slots=True, eq=False)
class StoredSale:
    """A stored sale, its stored pictures by number, and why others cannot be read."""

    sale: Sale
    pictures: tuple[StoredPicture, ...]
    unreadable: Mapping[Place, str] = field(default_factory=dict[Place, str])


@dataclass(frozen=True, slots=True, eq=False)
class SaleChanges:
    """Changes of the catalogue after a version.

    Attributes:
        generation: Id of the store's content, new once the store was emptied; empty if the store
            has no sales yet or its catalogue is marked as incomplete, "0" if it is lost or damaged.
        version: Pass it to the next call; the same if nothing changed, less if changes were lost.
        vouched: Version at which the catalogue was last marked as complete, 0 if never.
        n_sales: Sales in the store now.
        server: Id of the server that answered: run id and replication id.
        sales: Sales put since, each in its latest form.
        pictures: Pictures labelled or removed since, each in its latest form.
        deleted: Ids deleted since, and not put again.
        unpictured: Sale id and number of pictures deleted with their sale, and not put again.
        unreadable: Why a sale put since cannot be read, by id: another version put it, or it is
            damaged. Such sales count in `n_sales`.
        unreadable_pictures: The same of pictures.
        n_unlogged: Sales and pictures that the log of changes lacks, as where only the log was
            lost; a read of everything has them from their records.
        n_lost: Sales that the log names and no call deleted, where the store has no sale at all:
            their records alone were lost. Only a read of everything counts them.
    """

    generation: str
    version: int
    vouched: int
    n_sales: int
    server: str
    sales: tuple[Sale, ...]
    pictures: tuple[StoredPicture, ...]
    deleted: tuple[str, ...]
    unpictured: tuple[Place, ...]
    unreadable: Mapping[str, str]
    unreadable_pictures: Mapping[Place, str]
    n_unlogged: int
    n_lost: int


class SaleStore:
    """The catalogue in Redis 7 or Valkey.

    A sale that is put as it already stands is no change: loading the same data twice costs no
    rebuild of the catalogue. A stored sale or picture that cannot be read, as of another version of
    this software, is left out as if it were absent, and named in the log: put or delete it.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._log = BoundedLog(__name__)

    async def put(self, sales: Sequence[Sale], *, without: Collection[Place] = ()) -> int:
        """Insert or replace sales, in steps of `PAGE`; return the new version.

        Args:
            sales: The sales.
            without: Stored pictures to delete once all sales are accepted, unless they can be read
                by then.

        Raises:
            TooManyMarketsError: If the catalogue would have more markets than columns for them.
            TooManyAttributesError: The same of attributes.
        """
        changes = [
            (_SALE + sale.sale_id, sale.model_dump_json(exclude_defaults=True).encode())
            for sale in sales
        ]
        changed = await self._change(changes, doing="putting sales")
        if changed.of_markets:
            raise TooManyMarketsError(changed.of_markets, MAX_MARKETS)
        if changed.of_attributes:
            raise TooManyAttributesError(changed.of_attributes, MAX_ATTRIBUTES)
        if without:
            names = [f"{number}{sale_id}" for sale_id, number in without]
            unreadable = await self._unreadable(names)
            changed = await self._change(unreadable, doing="deleting unreadable pictures")
        return changed.version

    async def read(self, sale_id: str) -> StoredSale | None:
        """Return one sale as it stands now, None if unknown; one round trip."""
        fields = [f"{number}{sale_id}" for number in (ALL_PICTURES, *_NUMBERS)]
        sale, packed = await self._connection.execute_many(
            [("HGET", SALES, sale_id), ("HMGET", PICTURES, *fields)], doing="reading a sale"
        )
        readable = self._readable({} if sale is None else {sale_id: cast("bytes", sale)}).sales
        if sale_id not in readable:
            return None
        values = zip(fields, cast("list[bytes | None]", packed), strict=True)
        pictures, unreadable = self._readable_pictures(values)
        return StoredSale(readable[sale_id], pictures, unreadable)

    async def read_many(self, sale_ids: Sequence[str]) -> dict[str, Sale]:
        """Return those of the sales that are known, as they stand now, by id; one round trip."""
        known = (await self._values(SALES, sale_ids, doing="reading sales")).items()
        return self._readable({i: value for i, value in known if value is not None}).sales

    async def put_pictures(self, pictures: Sequence[StoredPicture]) -> frozenset[str]:
        """Store scores of pictures, or that they are removed, in steps of `PAGE`.

        Nothing is stored for a sale that is not there at that moment: the ids of such sales are
        returned.
        """
        changes = [(_member(one.sale_id, one.number), pack_picture(one)) for one in pictures]
        changed = await self._change(changes, doing="putting pictures")
        return changed.unknown

    async def delete(self, sale_id: str) -> bool:
        """Delete a sale and its pictures, atomically; return whether it was known."""
        pictures = [(_member(sale_id, number), _DELETED) for number in _NUMBERS]
        # First, while the sale is there: nothing is kept of a sale that is not.
        hidden = (_member(sale_id, ALL_PICTURES), REMOVED)
        changes = [hidden, (_SALE + sale_id, _DELETED), *pictures]
        changed = await self._change(changes, doing="deleting a sale")
        return changed.n_changes > 0

    async def changes(self, since: int) -> SaleChanges:
        """Return what changed after a version, read in pages; 0 returns everything."""
        latest: dict[str, bytes | None] = {}
        first, reached = b"", since
        while True:
            reply = await self._connection.run(
                READ_CHANGES, (*_KEYS, VOUCHED), reached, PAGE, doing=_READING
            )
            generation, version, vouched, n_sales, n_pictures, server, *flat = cast(
                "list[bytes]", reply
            )
            if latest and generation != first:  # emptied between two pages
                return await self.changes(since)
            first, reached = generation, whole_number(version, CHANGES, doing=_READING)
            members = [member.decode(errors="backslashreplace") for member in flat[::2]]
            latest.update(zip(members, flat[1::2], strict=True))
            if len(members) < PAGE:
                n_stored = {SALES: int(n_sales), PICTURES: int(n_pictures)}
                n_unlogged = 0 if since else await self._add_unlogged(latest, n_stored)
                n_lost = 0 if since or n_stored[SALES] else _n_lost(latest)
                sales = {name[1:]: v for name, v in latest.items() if name[:1] == _SALE}
                pictures = {name[1:]: v for name, v in latest.items() if _is_picture(name)}
                put = self._readable({i: v for i, v in sales.items() if v is not None})
                seen, unreadable_pictures = self._readable_pictures(pictures.items())
                return SaleChanges(
                    generation=generation.decode(),
                    version=reached,
                    vouched=int(vouched),
                    n_sales=int(n_sales),
                    server=server.decode(),
                    sales=tuple(put.sales.values()),
                    pictures=seen,
                    deleted=tuple(sale_id for sale_id, v in sales.items() if v is None),
                    unpictured=tuple(_place(name) for name, v in pictures.items() if v is None),
                    unreadable=put.unreadable,
                    unreadable_pictures=unreadable_pictures,
                    n_unlogged=n_unlogged,
                    n_lost=n_lost,
                )

    async def _add_unlogged(
        self, latest: dict[str, bytes | None], n_stored: Mapping[str, int]
    ) -> int:
        """Add the records that the log lacks, and return their number."""
        n_unlogged = 0
        for key, kind in ((SALES, _SALE), (PICTURES, _PICTURE)):
            n_logged = sum(name[:1] == kind and v is not None for name, v in latest.items())
            if n_logged >= n_stored[key]:
                continue
            records = await self._records(key)
            unlogged = {kind + name: v for name, v in records.items()}
            unlogged = {name: v for name, v in unlogged.items() if latest.get(name) is None}
            latest.update(unlogged)
            n_unlogged += len(unlogged)
        if n_unlogged:
            self._log.warning(
                f"the log of changes lacks sales or pictures that are stored; {UNLOGGED_ADVICE}",
                n_records=n_unlogged,
            )
        return n_unlogged

    async def _records(self, key: str) -> dict[str, bytes]:
        records: dict[str, bytes] = {}
        cursor = 0
        while True:
            reply = await self._connection.execute(
                "HSCAN", key, cursor, "COUNT", PAGE, doing=_READING
            )
            cursor, page = cast("tuple[int, dict[bytes, bytes]]", reply)
            records.update((k.decode(errors="backslashreplace"), v) for k, v in page.items())
            if cursor == 0:
                return records

    async def vouch(self, version: int = 0) -> None:
        """Mark the catalogue as complete: workers use it instead of the sales in their memory.

        Later changes get versions above the given one, that the caller knows.
        """
        keys = (VERSION, GENERATION, VOUCHED)
        await self._connection.run(
            VOUCH_FOR_CATALOGUE, keys, version, doing="vouching for the catalogue"
        )

    async def distrust(self, generation: str, version: int) -> None:
        """Mark the catalogue as incomplete until it is vouched for.

        Nothing but the version changes where the store has another generation by now. Later
        changes get versions above the given one.
        """
        await self._connection.run(
            DISTRUST_CATALOGUE,
            (VERSION, GENERATION),
            generation,
            version,
            doing="marking the catalogue as incomplete",
        )

    def _readable(self, values: Mapping[str, bytes]) -> "_Readable":
        read = _Readable({}, {})
        for sale_id, value in values.items():
            try:
                sale = Sale.model_validate_json(value)
            except ValidationError as exc:
                error = exc.errors(include_url=False, include_input=False)[0]
                name = ".".join(map(str, error["loc"]))
                reason = plain_message(error["msg"])
                read.unreadable[sale_id] = f"{name}: {reason}" if name else reason
                continue
            if sale.sale_id == sale_id:
                read.sales[sale_id] = sale
            else:
                read.unreadable[sale_id] = f"sale_id: it is that of {sale.sale_id!r}"
        if read.unreadable:
            self._log.warning(
                "stored sales are unreadable and left out: put or delete each of them",
                n_sales=len(read.unreadable),
                first=dict(islice(read.unreadable.items(), MAX_NAMED)),
            )
        return read

    def _readable_pictures(
        self, values: Iterable[tuple[str, bytes | None]]
    ) -> tuple[tuple[StoredPicture, ...], dict[Place, str]]:
        read, unreadable = list[StoredPicture](), dict[Place, str]()
        for name, packed in values:
            try:
                read += [] if packed is None else [unpack_picture(name, packed)]
            except ValueError as exc:
                unreadable[_place(name)] = str(exc)
        if unreadable:
            self._log.warning(
                "stored pictures are unreadable and left out: put or delete each of their sales",
                n_pictures=len(unreadable),
                first=list(islice(unreadable.items(), MAX_NAMED)),
            )
        return tuple(read), unreadable

    async def _unreadable(self, names: Sequence[str]) -> list[Change]:
        """Return the deletions of those pictures that cannot be read as they stand now."""
        packed = await self._values(PICTURES, names, doing="reading pictures")
        _, unreadable = self._readable_pictures(packed.items())
        return [
            (_UNREADABLE + name, value)
            for name, value in packed.items()
            if value is not None and _place(name) in unreadable
        ]

    async def _values(
        self, key: str, fields: Sequence[str], *, doing: str
    ) -> dict[str, bytes | None]:
        pages = [fields[start : start + PAGE] for start in range(0, len(fields), PAGE)]
        replies = await self._connection.execute_many(
            [("HMGET", key, *page) for page in pages], doing=doing
        )
        values = [value for reply in replies for value in cast("list[bytes | None]", reply)]
        return dict(zip(fields, values, strict=True))

    async def _change(self, changes: Sequence[Change], *, doing: str) -> "_Changed":
        version, n_changes = 0, 0
        everywhere = (set[str](), set[str](), set[str]())
        keys, limits = (*_KEYS, MARKETS, ATTRIBUTES), (MAX_MARKETS, MAX_ATTRIBUTES)
        for start in range(0, max(len(changes), 1), PAGE):
            arguments = [part for change in changes[start : start + PAGE] for part in change]
            reply = await self._connection.run(
                CHANGE_CATALOGUE, keys, *limits, *arguments, doing=doing
            )
            version, n_more, *left_out = cast(
                "tuple[int, int, list[bytes], list[bytes], list[bytes]]", reply
            )
            n_changes += n_more
            for all_of_them, of_page in zip(everywhere, left_out, strict=True):
                all_of_them.update(sale_id.decode() for sale_id in of_page)
        return _Changed(version, n_changes, *map(frozenset, everywhere))


@dataclass(frozen=True, slots=True)
class _Readable:
    sales: dict[str, Sale]
    unreadable: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Changed:
    version: int
    n_changes: int
    unknown: frozenset[str]
    of_markets: frozenset[str]
    of_attributes: frozenset[str]


def _member(sale_id: str, number: int) -> str:
    return f"{_PICTURE}{number}{sale_id}"


def _n_lost(latest: Mapping[str, bytes | None]) -> int:
    """Return the number of logged sales that have no record, and that `delete` did not remove."""
    # A deletion logs that the pictures are hidden before it removes the sale.
    gone = (name[1:] for name, value in latest.items() if name[:1] == _SALE and value is None)
    return sum(_member(sale_id, ALL_PICTURES) not in latest for sale_id in gone)


def _is_picture(member: str) -> bool:
    return member[:1] == _PICTURE and member[1:2] in _DIGITS


def _place(name: str) -> Place:
    return name[1:], int(name[0])
