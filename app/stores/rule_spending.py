"""Store of what rules with a budget have cost: expected outcomes by name of the rule."""

from collections.abc import Mapping
from typing import Final, cast

from app.stores.connection import Connection
from app.stores.keys import COUNTS_TTL_S, RULE_SPENDING
from app.stores.numbers import whole_number
from app.stores.promotion import COUNT_BATCH, LAST_BATCH

# Of an outcome: counters of the store are whole numbers.
_MICRO: Final = 1_000_000
_DOING: Final = "counting what rules cost"


class RuleSpending:
    """A hash in Redis or Valkey, of all workers together."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add(self, outcomes: Mapping[str, float], *, worker: str, batch_id: str) -> None:
        """Add what rules cost in answers of a worker; the same batch again adds nothing."""
        pairs = [part for name, n in outcomes.items() for part in (name, round(n * _MICRO))]
        await self._connection.run(
            COUNT_BATCH, [RULE_SPENDING], worker, batch_id, COUNTS_TTL_S, *pairs, doing=_DOING
        )

    async def read(self) -> dict[str, float]:
        """Return what each rule has cost; who reads it keeps it for 60 days more."""
        found, _ = await self._connection.execute_many(
            [("HGETALL", RULE_SPENDING), ("EXPIRE", RULE_SPENDING, COUNTS_TTL_S)], doing=_DOING
        )
        return {
            name.decode(errors="backslashreplace"): whole_number(n, RULE_SPENDING, doing=_DOING)
            / _MICRO
            for name, n in cast("dict[bytes, bytes]", found).items()
            if not name.startswith(LAST_BATCH)
        }

    async def restore(self, outcomes: Mapping[str, float]) -> None:
        """Put what rules have cost into a store that was emptied, unless another worker did."""
        await self._connection.execute_many(
            [("HSETNX", RULE_SPENDING, name, round(n * _MICRO)) for name, n in outcomes.items()],
            doing=_DOING,
        )
