"""Store of customers' lists, written each night; `CustomerStore.read` reads them. ``put_list``."""

from collections.abc import Mapping
from typing import Final, cast

from app.stores.connection import Command, Connection, Script
from app.stores.keys import LIST_TTL_S, CustomerKeys
from models.domain.customer_list import CustomerList

PUT_LIST: Final = Script.named("put_list", after=["tombstone"])


class ListStore:
    """Lists of customers in Redis 7 or Valkey."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def put(self, lists: Mapping[str, CustomerList]) -> int:
        """Keep the lists of customers for `LIST_TTL_S`, in place of earlier ones.

        Args:
            lists: Lists by customer id.

        Returns:
            The number of lists that are kept: none is that was made before the customer's erasure.
        """
        calls: list[Command] = []
        for customer_id, listed in lists.items():
            of = CustomerKeys.for_customer(customer_id)
            arguments = (listed.pack(), listed.at_us, LIST_TTL_S)
            calls.append(PUT_LIST.by_sha([of.listed, of.window, of.erased], *arguments))
        replies = await self._connection.run_many(PUT_LIST, calls, doing="loading lists")
        return sum(cast("list[int]", replies))
