"""All stores of one Redis or Valkey, over one pool of connections."""

from dataclasses import dataclass
from typing import Self

from app.settings import STREAM_BYTES
from app.stores.bundle import BundleStore
from app.stores.connection import DEFAULT_CONNECTIONS, DEFAULT_TIMEOUT_S, Connection
from app.stores.count import CountStore
from app.stores.customer import CustomerStore
from app.stores.customer_list import ListStore
from app.stores.exposure import ExposureLog
from app.stores.merge import MergeStore
from app.stores.plan import PlanStore
from app.stores.promotion import PromotionStore
from app.stores.rule_spending import RuleSpending
from app.stores.sale import SaleStore
from app.stores.server import StoreServer


@dataclass(frozen=True, slots=True)
class Stores:
    """The stores of one process; `server.close` closes them all."""

    connection: Connection
    customers: CustomerStore
    merges: MergeStore
    lists: ListStore
    sales: SaleStore
    counts: CountStore
    exposures: ExposureLog
    bundles: BundleStore
    plans: PlanStore
    promotions: PromotionStore
    spending: RuleSpending
    server: StoreServer

    @classmethod
    def over(cls, connection: Connection, *, stream_bytes: int = STREAM_BYTES) -> Self:
        """Share one connection between all stores; see `STREAM_BYTES`."""
        return cls(
            connection,
            CustomerStore(connection, stream_bytes=stream_bytes),
            MergeStore(connection),
            ListStore(connection),
            SaleStore(connection),
            CountStore(connection),
            ExposureLog(connection, stream_bytes=stream_bytes),
            BundleStore(connection),
            PlanStore(connection),
            PromotionStore(connection),
            RuleSpending(connection),
            StoreServer(connection),
        )

    @classmethod
    def open(
        cls,
        url: str,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        max_connections: int = DEFAULT_CONNECTIONS,
        stream_bytes: int = STREAM_BYTES,
    ) -> Self:
        """Prepare all stores of a URL; see `Connection.open` and `STREAM_BYTES`."""
        connection = Connection.open(url, timeout_s=timeout_s, max_connections=max_connections)
        return cls.over(connection, stream_bytes=stream_bytes)
