"""Features by the compiled kernel: the layouts of its structures, and what it is called with.

The kernel checks nothing: arrays are checked here, once for a catalogue, or at each call.
"""

import ctypes
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from models.kernel.library import MAX_EVENTS, kernel
from models.kernel.steps import Step, Steps, address

_N_HALF_LIVES: Final = 2
_N_COUNTED: Final = 6
_NO_MEMORY: Final = 1
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

_ASKED: Final = struct.Struct("17q")
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

    def matrices(
        self,
        steps: Steps,
        *,
        rows: NDArray[np.int64],
        given: NDArray[np.float64],
        shared: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """Compute the feature matrices of queries.

        Args:
            steps: Of the same catalogue.
            rows: Catalogue rows of the candidates, shape ``(n_queries, n_rows)``.
            given: Numbers of each query that the steps read, shape ``(n_queries, n_given)``.
            shared: The columns that no step computes, shape ``(n_queries, n_rows, n_shared)``.

        Returns:
            Shape ``(n_queries, n_rows, n_columns)``.

        Raises:
            ValueError: If a candidate is not in the catalogue, or a shape does not fit.
            MemoryError: If there is no memory for scratch.
        """
        if shared.shape != (*rows.shape, steps.n_shared):
            msg = f"shared columns of shape {shared.shape}, not {(*rows.shape, steps.n_shared)}"
            raise ValueError(msg)
        matrix = np.empty((*rows.shape, steps.n_columns), dtype=np.float32)
        self._compute(steps, rows, given, shared=address(shared), matrix=address(matrix), alone=0)
        return matrix

    def scores(
        self, step: Step, *, rows: NDArray[np.int64], given: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Compute one step alone, in double precision; see `matrices`.

        Returns:
            Shape ``(n_queries, n_rows, width)``.
        """
        scores = np.empty((*rows.shape, step.width))
        steps = Steps([(0, step)], n_columns=step.width)
        self._compute(steps, rows, given, shared=0, matrix=0, alone=address(scores))
        return scores

    def _compute(
        self,
        steps: Steps,
        rows: NDArray[np.int64],
        given: NDArray[np.float64],
        *,
        shared: int,
        matrix: int,
        alone: int,
    ) -> None:
        if len(rows) != self.n_queries or given.shape != (self.n_queries, steps.n_given):
            msg = (
                f"candidates of {len(rows)} queries and numbers of shape {given.shape} for "
                f"{self.n_queries} customers and {steps.n_given} numbers"
            )
            raise ValueError(msg)
        rows = np.ascontiguousarray(rows, dtype=np.int64)
        failed = kernel().compute(
            *(self.rules, self.sales.address, steps.address),
            *(self.asked, self.memory, self.n_queries, address(rows), rows.shape[1]),
            *(address(given), shared, matrix, alone),
        )
        if failed == _NO_MEMORY:
            raise MemoryError
        if failed:
            msg = f"candidates beyond the {self.sales.n_sales} sales of the catalogue"
            raise ValueError(msg)


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
