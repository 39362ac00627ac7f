"""The catalogue in Redis or Valkey: sales, what their pictures show, and what changed when."""

import struct
from collections.abc import Sequence
from typing import Final, cast

import numpy as np

from app.serving.ports import LabelledPicture, SaleChanges, StoredSale
from app.stores.connection import Connection, Script
from app.stores.layout import CHANGES, PICTURES, SALES, VERSION
from models.sale import PictureScores, Sale

CHANGE_CATALOGUE: Final = Script.named("change_catalogue")
READ_CHANGES: Final = Script.named("read_changes")

# What one script call touches: some milliseconds in which the store serves nobody else.
PAGE: Final = 500

_KEYS: Final = (SALES, PICTURES, CHANGES, VERSION)
_SALE: Final = "s"
_PICTURE: Final = "p"
_DELETED: Final = b""
_HEADER: Final = struct.Struct(">HHB")
_LOOKS: Final = (None, False, True)
_FLOAT: Final = np.dtype("<f4")

Change = tuple[str, bytes]


class RedisSaleStore:
    """The catalogue in Redis 7 or Valkey; see `SaleStore`.

    What is put as it was already is no change: to load the same data twice costs no rebuild.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def put(self, sales: Sequence[Sale]) -> int:
        """Insert or replace sales, in steps of `PAGE`; see `SaleStore`."""
        changes = [
            (_SALE + sale.sale_id, sale.model_dump_json(exclude_defaults=True).encode())
            for sale in sales
        ]
        version, _ = await self._change(changes, doing="putting sales")
        return version

    async def read(self, sale_id: str) -> StoredSale | None:
        """Return one sale as it stands now, in one round trip; see `SaleStore`."""
        reply = await self._connection.execute_many(
            [("HGET", SALES, sale_id), ("HGET", PICTURES, sale_id)], doing="reading a sale"
        )
        sale, picture = cast("list[bytes | None]", reply)
        if sale is None:
            return None
        seen = unpack_picture(sale_id, picture) if picture else None
        return StoredSale(Sale.model_validate_json(sale), seen)

    async def read_many(self, sale_ids: Sequence[str]) -> dict[str, Sale]:
        """Return sales as they stand now, in one round trip; see `SaleStore`."""
        pages = [sale_ids[start : start + PAGE] for start in range(0, len(sale_ids), PAGE)]
        replies = await self._connection.execute_many(
            [("HMGET", SALES, *page) for page in pages], doing="reading sales"
        )
        found = [value for reply in replies for value in cast("list[bytes | None]", reply)]
        known = [(i, value) for i, value in zip(sale_ids, found, strict=True) if value is not None]
        return {sale_id: Sale.model_validate_json(value) for sale_id, value in known}

    async def put_pictures(self, pictures: Sequence[LabelledPicture]) -> int:
        """Keep what sales' pictures show, in steps of `PAGE`; see `SaleStore`."""
        changes = [(_PICTURE + picture.sale_id, pack_picture(picture)) for picture in pictures]
        version, _ = await self._change(changes, doing="putting pictures")
        return version

    async def delete(self, sale_id: str) -> bool:
        """Delete a sale and its picture; see `SaleStore`."""
        changes = [(_SALE + sale_id, _DELETED), (_PICTURE + sale_id, _DELETED)]
        _, n_changes = await self._change(changes, doing="deleting a sale")
        return n_changes > 0

    async def changes(self, since: int) -> SaleChanges:
        """Return what changed, read in pages; see `SaleStore`."""
        latest: dict[str, bytes | None] = {}
        while True:
            reply = await self._connection.run(
                READ_CHANGES, _KEYS, since, PAGE, doing="reading the catalogue"
            )
            version, *flat = cast("list[bytes]", reply)
            since = int(version)
            members = [member.decode() for member in flat[::2]]
            latest.update(zip(members, flat[1::2], strict=True))
            if len(members) < PAGE:
                return _changes(since, latest)

    async def _change(self, changes: Sequence[Change], *, doing: str) -> tuple[int, int]:
        version, n_changes = 0, 0
        for start in range(0, max(len(changes), 1), PAGE):
            arguments = [part for change in changes[start : start + PAGE] for part in change]
            reply = await self._connection.run(CHANGE_CATALOGUE, _KEYS, *arguments, doing=doing)
            version, n_more = cast("tuple[int, int]", reply)
            n_changes += n_more
        return version, n_changes


def pack_picture(picture: LabelledPicture) -> bytes:
    """Return the bytes that `unpack_picture` reads.

    Two lengths, whether it is like a known scene, the scene model, float32.
    """
    model = picture.scene_model.encode()
    probabilities = picture.scores.probabilities.astype(_FLOAT).tobytes()
    embedding = picture.scores.embedding.astype(_FLOAT).tobytes()
    looks = _LOOKS.index(picture.is_unlike)
    header = _HEADER.pack(len(picture.scores.probabilities), len(model), looks)
    return header + model + probabilities + embedding


def unpack_picture(sale_id: str, packed: bytes) -> LabelledPicture:
    """Read what `pack_picture` wrote."""
    n_labels, n_model, looks = cast("tuple[int, int, int]", _HEADER.unpack_from(packed))
    end = _HEADER.size + n_model
    numbers = np.frombuffer(packed, dtype=_FLOAT, offset=end).astype(np.float32)
    scores = PictureScores(probabilities=numbers[:n_labels], embedding=numbers[n_labels:])
    model = packed[_HEADER.size : end].decode()
    return LabelledPicture(sale_id, scores, model, is_unlike=_LOOKS[looks])


def _changes(version: int, latest: dict[str, bytes | None]) -> SaleChanges:
    sales = {name[1:]: value for name, value in latest.items() if name[0] == _SALE}
    pictures = {name[1:]: value for name, value in latest.items() if name[0] == _PICTURE}
    return SaleChanges(
        version=version,
        sales=tuple(Sale.model_validate_json(value) for value in sales.values() if value),
        pictures=tuple(unpack_picture(i, value) for i, value in pictures.items() if value),
        deleted=tuple(sale_id for sale_id, value in sales.items() if not value),
        unpictured=tuple(sale_id for sale_id, value in pictures.items() if not value),
    )
