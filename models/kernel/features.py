"""Features by the compiled kernel: the layouts of its structures, and what it is called with.

The kernel checks nothing: arrays are checked here, once for a catalogue, or at each call.
"""

import ctypes
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.kernel.library import MAX_EVENTS, kernel

_N_TABLES: Final = 6
_N_SIZES: Final = 4
_N_NUMBERS: Final = 2
_MAX_WIDTH: Final = 16
_N_HALF_LIVES: Final = 2
_N_COUNTED: Final = 6
_N_PLACES: Final = 3  # of events, impressions and purchases

N_KIND_CODES: Final = 16
"""Event types that a stamp has bits for."""

RULES: Final = np.dtype(
    [
        ("interest", "f8", N_KIND_CODES),
        ("shows_interest", "i8", N_KIND_CODES),
        ("is_search", "i8", N_KIND_CODES),
        ("is_choice", "i8", N_KIND_CODES),
        ("half_lives_s", "f8", _N_HALF_LIVES),
        ("taste_half_lives_s", "f8", _N_HALF_LIVES),
        ("evidence", "f8"),
        ("visit_gap_s", "f8"),
        ("list_s", "f8"),
    ]
)
"""Constants of features, ``Rules`` in ``customer.h``."""

STEP: Final = np.dtype(
    [
        ("family", "i8"),
        ("column", "i8"),
        ("width", "i8"),
        ("sizes", "i8", _N_SIZES),
        ("tables", "u8", _N_TABLES),
        ("numbers", "f8", _N_NUMBERS),
    ]
)
"""``Step`` in ``features.c``."""

_ASKED: Final = struct.Struct("15q")
"""``Asked`` in ``customer.h``."""

CUSTOMER: Final = np.dtype(
    [
        *((name, "i8") for name in ("n_events", "n_unknown", "n_searches", "n_disliked")),
        *(("n_shown", "i8"), ("choice", "i8"), ("active_age_s", "f8")),
        *(("weight", "f8", _N_HALF_LIVES), ("choice_position", "f8"), ("usual_position", "f8")),
        *((name, "i8", MAX_EVENTS) for name in ("rows", "kinds", "days")),
        ("age_s", "f8", MAX_EVENTS),
        ("interest", "f8", (_N_HALF_LIVES, MAX_EVENTS)),
        ("is_newest", "i8", MAX_EVENTS),
        ("counts", "i8", (MAX_EVENTS, N_KIND_CODES)),
        ("sale_interest", "f8", (_N_HALF_LIVES, MAX_EVENTS)),
        ("taste_weight", "f8", (_N_HALF_LIVES, MAX_EVENTS)),
        *((name, "i8", MAX_EVENTS) for name in ("since_choice", "disliked", "shown_rows")),
        *((name, "f8", MAX_EVENTS) for name in ("shown_age_s", "shown_position")),
        ("is_in_list", "i8", MAX_EVENTS),
    ]
)
"""A history joined to a catalogue: ``Customer`` in ``customer.h``."""


class Family(IntEnum):
    """Families of features, in the order of ``FAMILIES`` in ``features.c``."""

    CUSTOMER = 0
    SALE = 1
    CROSS = 2
    LAST_LIST = 3
    CONTENT = 4
    IMAGES = 5
    TASTE = 6
    COLLABORATIVE = 7
    TEXT = 8
    COVISITATION = 9
    SESSION = 10
    BUY_AGAIN = 11


_TABLES: Final[Mapping[Family, str]] = {
    Family.CUSTOMER: "",
    Family.SALE: "ddl?",
    Family.CROSS: "",
    Family.LAST_LIST: "",
    Family.CONTENT: "ddld",
    Family.IMAGES: "f?",
    Family.TASTE: "ddd",
    Family.COLLABORATIVE: "dd",
    Family.TEXT: "ddd",
    Family.COVISITATION: "ld",
    Family.SESSION: "dd",
    Family.BUY_AGAIN: "dd",
}
"""Types of the tables of each family, as NumPy's characters: ``l`` for any 64-bit integer."""


@dataclass(frozen=True, eq=False)
class Step:
    """Columns that a family computes with the tables of a catalogue.

    Attributes:
        family: The family, whose C function says what it takes.
        width: Number of its columns.
        tables: Its tables; one row a sale, or what was fitted.
        sizes: Its sizes.
        numbers: Its numbers.
        n_work: Numbers of scratch that it needs.
    """

    family: Family
    width: int
    tables: tuple[NDArray[np.generic], ...] = ()
    sizes: tuple[int, ...] = ()
    numbers: tuple[float, ...] = ()
    n_work: int = 0

    def __post_init__(self) -> None:
        """Refuse tables of other types than the family reads.

        Raises:
            ValueError: If there are any, or more columns than the kernel has room for.
        """
        if self.width > _MAX_WIDTH:
            msg = f"{self.width} columns of {self.family.name}, at most {_MAX_WIDTH} are computed"
            raise ValueError(msg)
        types = "".join("l" if one.dtype == np.int64 else one.dtype.char for one in self.tables)
        if types != _TABLES[self.family]:
            msg = f"tables of {self.family.name} have types {types}, not {_TABLES[self.family]}"
            raise ValueError(msg)


def address(array: NDArray[np.generic]) -> int:
    """Return where the values of a contiguous array begin.

    Raises:
        ValueError: If it is not contiguous.
    """
    if not array.flags.c_contiguous:
        msg = f"an array of shape {array.shape} is not contiguous"
        raise ValueError(msg)
    if array.flags.writeable and array.size:
        # A third of the time of ``array.ctypes.data``: some thirty arrays a query.
        return ctypes.addressof(ctypes.c_char.from_buffer(array.data))
    return array.ctypes.data


class Sales:
    """The sales of a catalogue as the kernel reads them, with its scratch.

    All queries of the catalogue share the scratch: the kernel keeps the GIL while it uses it.
    """

    def __init__(self, keys: NDArray[np.uint64], *, n_codes: int) -> None:
        """Take the sale keys, ascending, and how many codes texts have."""
        self.n_sales = len(keys)
        self._kept = (
            np.ascontiguousarray(keys, dtype=np.uint64),
            *(np.zeros(len(keys), dtype=np.int32) for _ in range(_N_PLACES)),
            np.zeros(_N_HALF_LIVES * n_codes),
        )
        self._record = np.array([self.n_sales, *map(address, self._kept), n_codes], dtype=np.int64)
        self.address = address(self._record)


class Steps:
    """Steps of one catalogue, packed once for many queries."""

    def __init__(self, steps: Sequence[tuple[int, Step]]) -> None:
        """Pack steps, each with its first column."""
        self._kept = [step for _, step in steps]
        self._record = np.zeros(len(steps), dtype=STEP)
        for packed, (column, step) in zip(self._record, steps, strict=True):
            packed["family"], packed["column"], packed["width"] = step.family, column, step.width
            packed["sizes"][: len(step.sizes)] = step.sizes
            packed["tables"][: len(step.tables)] = [address(one) for one in step.tables]
            packed["numbers"][: len(step.numbers)] = step.numbers
        self.address = address(self._record)
        self.n_work = max((step.n_work for step in self._kept), default=0)

    def __len__(self) -> int:
        """Return the number of steps."""
        return len(self._kept)


Customers = ctypes.Array[ctypes.c_char]
"""Memory of customers of type `CUSTOMER`."""


@dataclass(frozen=True, eq=False)
class Joined:
    """Histories of customers joined to a catalogue.

    Attributes:
        rules: Address of the constants, of type `RULES`.
        sales: The catalogue's sales.
        asked: What the kernel was asked, see ``Asked`` in ``customer.h``.
        n_queries: Number of queries.
        memory: What it joined.
        kept: Arrays that ``asked`` points into.
    """

    rules: int
    sales: Sales
    asked: bytes
    n_queries: int
    memory: Customers
    kept: object

    @classmethod
    def from_asked(
        cls, rules: int, sales: Sales, *, asked: Sequence[Sequence[int]], kept: object
    ) -> Self:
        """Join the histories of queries.

        Args:
            rules: Address of the constants.
            sales: The catalogue's sales.
            asked: Numbers and addresses of each query, as in ``Asked``.
            kept: The arrays at these addresses.
        """
        packed = b"".join(_ASKED.pack(*one) for one in asked)
        memory = (ctypes.c_char * (CUSTOMER.itemsize * len(asked)))()
        kernel().join(rules, sales.address, packed, memory, len(asked))
        return cls(rules, sales, packed, len(asked), memory, kept)

    @cached_property
    def customers(self) -> NDArray[np.void]:
        """What was joined, of type `CUSTOMER`, shape ``(n_queries,)``."""
        return np.frombuffer(memoryview(self.memory), dtype=CUSTOMER)

    def fill(self, matrix: NDArray[np.float32], steps: Steps, *, rows: NDArray[np.int64]) -> None:
        """Write the columns of steps into a matrix ``(n_queries, n_rows, n_columns)``.

        Args:
            matrix: Contiguous; other columns stay.
            steps: Of the same catalogue.
            rows: Catalogue rows of the candidates, shape ``(n_queries, n_rows)``.

        Raises:
            ValueError: If a candidate is not in the catalogue.
            MemoryError: If there is no memory for scratch.
        """
        n_queries, n_rows, n_columns = matrix.shape
        rows = self._checked(rows)
        failed = kernel().compute(
            *(self.rules, self.sales.address, steps.address, len(steps), steps.n_work),
            *(self.asked, self.memory, n_queries, address(rows), n_rows),
            *(address(matrix), n_columns),
        )
        if failed:
            raise MemoryError

    def scores(self, step: Step, *, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Compute one step alone, in double precision; see `fill`.

        Returns:
            Shape ``(n_queries, n_rows, width)``.
        """
        rows, steps = self._checked(rows), Steps([(0, step)])
        scores = np.empty((*rows.shape, step.width))
        failed = kernel().compute_alone(
            *(self.rules, self.sales.address, steps.address, steps.n_work),
            *(self.asked, self.memory, self.n_queries, address(rows), rows.shape[1]),
            address(scores),
        )
        if failed:
            raise MemoryError
        return scores

    def _checked(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        if len(rows) != self.n_queries:
            msg = f"candidates of {len(rows)} queries for {self.n_queries} customers"
            raise ValueError(msg)
        # As unsigned numbers negative rows are large ones.
        if rows.size and int(rows.view(np.uint64).max()) >= self.sales.n_sales:
            msg = f"candidates beyond the {self.sales.n_sales} sales of the catalogue"
            raise ValueError(msg)
        return np.ascontiguousarray(rows, dtype=np.int64)


def look_alike_counts(
    totals: NDArray[np.float64],
    neighbours: NDArray[np.int64],
    *,
    similarities: NDArray[np.float64],
    rows: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Sum the event counts of look-alikes, weighted by the 8th power of their similarity.

    The high power (chosen, not measured) gives most of the weight to the nearest ones. Counts
    rather than rates are averaged, so that sales with more impressions weigh more.

    Args:
        totals: Events of every sale by type code, shape ``(n_sales, 6)``.
        neighbours: Rows of the neighbours of every sale, shape ``(n_sales, n_neighbours)``.
        similarities: Their similarities, same shape.
        rows: The sales whose look-alikes are summed, shape ``(n,)``.

    Returns:
        Shape ``(n, 6)``, NaN for a sale without a similar one.

    Raises:
        ValueError: If shapes do not fit each other, or a row is beyond them.
    """
    fits = neighbours.shape == similarities.shape and totals.shape == (len(neighbours), _N_COUNTED)
    if not fits or (rows.size and not 0 <= rows.min() <= rows.max() < len(totals)):
        msg = f"counts {totals.shape} and neighbours {neighbours.shape} of {len(rows)} sales"
        raise ValueError(msg)
    sums = np.empty((len(rows), _N_COUNTED))
    kernel().sum_look_alikes(
        *(address(totals), address(neighbours), address(similarities), neighbours.shape[1]),
        *(address(np.ascontiguousarray(rows, dtype=np.int64)), len(rows), address(sums)),
    )
    return sums


def hash_of(matrix: NDArray[np.float32]) -> str:
    """Hash the bytes of a matrix by MurmurHash3 (x64, 128 bits), 32 hexadecimal digits.

    A quarter of the time of SHA-256, also where processors have instructions for that: 23 and 89 µs
    of 300 rows (2026-11-30).
    """
    matrix = np.ascontiguousarray(matrix)
    found = (ctypes.c_uint64 * 2)()
    kernel().hash(address(matrix), matrix.nbytes, found)
    return f"{found[0]:016x}{found[1]:016x}"
