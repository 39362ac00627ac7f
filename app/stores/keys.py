"""Keys of the store: names, bounds and lifetimes.

A Lua script may touch one slot of a cluster only. So all keys that one event changes carry
the hash tag of its customer's partition, and the catalogue carries a tag of its own. The `FORM` of
windows, impressions and profiles is in their keys, so that another form is never read.

==========================  ===========================================================
``c:3:{p}:<customer>``      window: sorted set of 24-byte members, score ``at_us``
``d:3:{p}:<customer>``      the sales shown last: sorted set of sale keys, score a stamp:
                            ``1000 * second + position``
``p:3:{p}:<customer>``      packed profile: totals, purchases, attributes
``r:1:{p}:<customer>``       list of the last night: when it was made, then sale keys by rank
``m:1:{p}:<customer>``       hash: who is one customer with this one, see ``merge.py``
``i:{p}:<customer>:<day>``  keys of events that were received that day, to count none twice
``events:{p}``              stream of accepted events: ``e`` JSON, ``r`` received_at in µs
``exposures:{p}``           stream of answers: ``x`` packed record; in both ``b``: ``stream.lua``
``erasures:{p}``            stream of erasures: ``c`` customer id, ``r`` erased_at in µs
``merges:{p}``              stream of merges: ``g`` guest, ``c`` customer, ``r`` merged_at in µs
``e:{p}:<hash>``            tombstone of an erased customer: erased_at in µs
``e:{p}:secret``            what ids are hashed with for their tombstones
``n:{p}:h<hour>``           hash: sale key, type code and a refund's age → events of that hour
``n:{p}:m<minute>``         the same for one minute, to cut the running hour on the grid
``n:{p}:u<hour>``           set: hashes of customer, sale and type that counted in that hour
``n:{p}:b<hour>``           hash: the same hashes of purchases that happened in that hour → hour
                            that counted them, until they are refunded
``n:{p}:since``             received time of the partition's first live event, in µs
``n:{p}:written``           hash: ``events`` and ``exposures`` → bytes ever written to streams
``n:{p}:lost``              hash: ``events`` and ``exposures`` → entries that full streams lost,
                            ``counts`` → events that were not counted for their sales
``n:{p}:probe``             written by each worker now and then, to see that writes are taken
``l:{history}:<hour>``      counts of loaded history, like ``n:{p}:h<hour>``
``s:{sales}:json``          hash: sale id → JSON
``s:{sales}:pictures``      hash: number and sale id → packed picture scores
``s:{sales}:changes``       sorted set: what changed, score the version
``s:{sales}:markets``       hash: market → sales that name it
``s:{sales}:attributes``    hash: name of an attribute → sales that have it
``s:{sales}:version``       the catalogue's version
``s:{sales}:generation``    its first version: another one where the store was emptied, 0
                            where the catalogue is known to lack something
``s:{sales}:vouched``       version at which the catalogue was last said to be whole
``b:{bundles}:wanted``      hash: ``active``, ``previous`` and ``shadow`` → bundle id
``b:{bundles}:workers``     hash: worker → its clock reading in µs and JSON
``x:{plan}:current``        hash: ``version`` and ``json`` of the plan of experiments
``x:{plan}:audit``          list of its last changes, the latest first: JSON
``x:{plan}:promotion``      hash: ``version`` and ``json`` of the latest promotion
``x:{plan}:promotions``     list of those before it, the latest first: JSON
``x:{plan}:promoter``       the worker that decides about it, for a few seconds
``x:{plan}:counts:<n>``     hash: what the workers counted for promotion n
``x:{plan}:spent``          hash: rule with a budget → millionths of outcomes that it has cost
==========================  ===========================================================
"""

import re
from dataclasses import dataclass
from typing import Final, Self

from models.domain.event import key

# Part of every key: another number would lose all that is stored. Chosen, not measured: more
# spreads a cluster more evenly, fewer makes the reads of all streams and counters cheaper.
N_PARTITIONS: Final = 64

# Raise it where the bytes of a window, of impressions or of a profile change: keys of another form
# are unread, and expire.
FORM: Final = 3

# The same of lists.
LIST_FORM: Final = 1

# The same of merges.
MERGES_FORM: Final = 1

DAY_S: Final = 24 * 3600
# Chosen: longer than a year, in which the customers of a season come back.
CUSTOMER_TTL_S: Final = 400 * DAY_S
# Chosen: a night that fails leaves the list of the night before for its day.
LIST_TTL_S: Final = 2 * DAY_S
RECENT_TTL_S: Final = 2 * DAY_S  # see recent_event_keys.lua
TOMBSTONE_TTL_S: Final = 100 * DAY_S  # events older than 90 days are refused anyway
# A day more than popularity looks back, see `models.catalogue.event_counts.RETENTION_HOURS`.
HOUR_TTL_S: Final = 15 * DAY_S
# The running hour, and two more in which an end of the grid may still be asked for.
MINUTE_TTL_S: Final = 3 * 3600
COUNTED_TTL_S: Final = 3600  # after the hour nothing is counted in it
# Chosen, not measured: far longer than a promotion takes.
COUNTS_TTL_S: Final = 60 * DAY_S

# Fields of a partition's counts of an hour. Chosen: 3,300 sales of six types, in 0.8 MB; refunds
# take one more for each age of a purchase, and no more than purchases that counted before. A bound,
# because the store knows no sales, and who sends events may invent ids.
COUNTED_PAIRS: Final = 20_000

_N_BOUNDED_STREAMS: Final = 2  # events and exposures; no erasure is ever dropped

# Six times what lies between two probes of a worker.
PROBE_TTL_S: Final = 60

_CUSTOMERS_OWN: Final = re.compile(r"^((?:[cdprm]:\d+|i):\{\d+\}:).*$", re.DOTALL)

# Up to the first colon: a user of the store needs rights on all of them.
PREFIXES: Final = (
    *("c", "d", "p", "r", "m", "i", "e", "n", "l", "s", "b", "x"),
    *("events", "exposures", "erasures", "merges"),
)

SALES: Final = "s:{sales}:json"
PICTURES: Final = "s:{sales}:pictures"
CHANGES: Final = "s:{sales}:changes"
MARKETS: Final = "s:{sales}:markets"
ATTRIBUTES: Final = "s:{sales}:attributes"
VERSION: Final = "s:{sales}:version"
GENERATION: Final = "s:{sales}:generation"
VOUCHED: Final = "s:{sales}:vouched"

WANTED: Final = "b:{bundles}:wanted"
WORKERS: Final = "b:{bundles}:workers"

PLAN: Final = "x:{plan}:current"
PLAN_AUDIT: Final = "x:{plan}:audit"

PROMOTION: Final = "x:{plan}:promotion"
EARLIER_PROMOTIONS: Final = "x:{plan}:promotions"
PROMOTER: Final = "x:{plan}:promoter"

RULE_SPENDING: Final = "x:{plan}:spent"


def partition(customer_id: str) -> int:
    """Return the partition of a customer, which decides the cluster slot."""
    return key(customer_id) % N_PARTITIONS


@dataclass(frozen=True, slots=True)
class CustomerKeys:
    """The keys of one customer, all in one slot."""

    window: str
    shown: str
    profile: str
    listed: str
    merges: str
    recent: str
    events: str
    counts: str
    erased: str
    erasures: str
    merged: str

    @classmethod
    def for_customer(cls, customer_id: str) -> Self:
        """Name the keys of a customer."""
        p = partition(customer_id)
        return cls(
            window=f"c:{FORM}:{{{p}}}:{customer_id}",
            shown=f"d:{FORM}:{{{p}}}:{customer_id}",
            profile=f"p:{FORM}:{{{p}}}:{customer_id}",
            listed=f"r:{LIST_FORM}:{{{p}}}:{customer_id}",
            merges=f"m:{MERGES_FORM}:{{{p}}}:{customer_id}",
            recent=f"i:{{{p}}}:{customer_id}",
            events=events_stream(p),
            counts=counts_prefix(p),
            erased=tombstones_prefix(p),
            erasures=erasures_stream(p),
            merged=merges_stream(p),
        )


def without_customer(name: str) -> str:
    """Return the name of a key without its customer's id, as logs must not have it."""
    return _CUSTOMERS_OWN.sub(r"\1…", name)


def stream_limit(stream_bytes: int) -> int:
    """Return how many bytes one stream may take, of what all may take together."""
    return stream_bytes // (_N_BOUNDED_STREAMS * N_PARTITIONS)


def events_stream(p: int) -> str:
    """Name the stream of a partition's accepted events."""
    return f"events:{{{p}}}"


def exposures_stream(p: int) -> str:
    """Name the stream of a partition's answers."""
    return f"exposures:{{{p}}}"


def erasures_stream(p: int) -> str:
    """Name the stream of a partition's erasures."""
    return f"erasures:{{{p}}}"


def merges_stream(p: int) -> str:
    """Name the stream of a partition's merges."""
    return f"merges:{{{p}}}"


def tombstones_prefix(p: int) -> str:
    """Name what a partition's tombstones begin with."""
    return f"e:{{{p}}}:"


def tombstone_secret(p: int) -> str:
    """Name what a partition's customers are hashed with for their tombstones."""
    return f"{tombstones_prefix(p)}secret"


def counts_prefix(p: int) -> str:
    """Name what a partition's counters begin with."""
    return f"n:{{{p}}}:"


def bought_in(p: int, hour: int) -> str:
    """Name the purchases of a partition that happened in an hour and count."""
    return f"{counts_prefix(p)}b{hour}"


def write_probe(p: int) -> str:
    """Name what is written to a partition to see whether it takes writes."""
    return f"{counts_prefix(p)}probe"


def history_hour(hour: int) -> str:
    """Name the counts of loaded history of one hour."""
    return f"l:{{history}}:{hour}"


def promotion_counts(number: int) -> str:
    """Name what was counted for a promotion."""
    return f"x:{{plan}}:counts:{number}"
