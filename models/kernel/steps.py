"""Steps: the columns of features that the kernel computes, packed for it."""

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

_N_TABLES: Final = 6
_N_SIZES: Final = 4
_N_NUMBERS: Final = 2

STEP: Final = np.dtype(
    [
        ("family", "i8"),
        ("column", "i8"),
        ("width", "i8"),
        ("given", "i8"),
        ("sizes", "i8", _N_SIZES),
        ("tables", "u8", _N_TABLES),
        ("numbers", "f8", _N_NUMBERS),
    ]
)
"""``Step`` in ``features.c``."""

PLAN: Final = np.dtype(
    [
        ("steps", "u8"),
        ("shared_columns", "u8"),
        *(
            (name, "i8")
            for name in ("n_steps", "n_shared", "n_columns", "n_given", "width", "n_work")
        ),
    ]
)
"""``Plan`` in ``features.c``."""


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
    GIVEN = 12
    DEMOGRAPHIC = 13


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
    Family.GIVEN: "",
    Family.DEMOGRAPHIC: "ddd",
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
        n_given: How many numbers of each query it reads.
    """

    family: Family
    width: int
    tables: tuple[NDArray[np.generic], ...] = ()
    sizes: tuple[int, ...] = ()
    numbers: tuple[float, ...] = ()
    n_work: int = 0
    n_given: int = 0

    def __post_init__(self) -> None:
        """Refuse tables of other types than the family reads.

        Raises:
            ValueError: If there are any.
        """
        types = "".join("l" if one.dtype == np.int64 else one.dtype.char for one in self.tables)
        if types != _TABLES[self.family]:
            msg = f"tables of {self.family.name} have types {types}, not {_TABLES[self.family]}"
            raise ValueError(msg)

    @classmethod
    def copying(cls, n_given: int) -> "Step":
        """Return the step whose columns are as many numbers of the query, equal for all sales."""
        return cls(Family.GIVEN, n_given, sizes=(n_given,), n_given=n_given)


_char_of: Final = ctypes.c_char.from_buffer
# Of arrays without values, so that no pointer of the kernel is null.
_nothing: Final = ctypes.c_uint64()
_NOTHING_AT: Final = ctypes.addressof(_nothing)


def address(array: NDArray[np.generic]) -> int:
    """Return where the values of a contiguous array begin.

    Raises:
        ValueError: If it is not contiguous.
    """
    flags = array.flags
    if not flags.c_contiguous:
        msg = f"an array of shape {array.shape} is not contiguous"
        raise ValueError(msg)
    if not array.size:
        return _NOTHING_AT
    if flags.writeable:
        # A quarter of the time of ``array.ctypes.data``: some thirty arrays a query.
        return ctypes.addressof(_char_of(array.data))
    return array.ctypes.data


class Steps:
    """Steps of one catalogue, packed once for many queries.

    Attributes:
        steps: The steps, in the order of their columns.
        n_columns: Columns of a feature matrix.
        n_shared: Columns of it that no step computes, as all customers have them in common.
        n_given: Numbers of each query that the steps read.
    """

    def __init__(
        self,
        steps: Sequence[tuple[int, Step]],
        *,
        n_columns: int,
        shared_columns: Sequence[int] = (),
    ) -> None:
        """Pack steps, each with its first column; their numbers of a query follow each other."""
        self.steps = tuple(step for _, step in steps)
        self._record = np.zeros(len(steps), dtype=STEP)
        self.n_columns, self.n_shared, self.n_given = n_columns, len(shared_columns), 0
        for packed, (column, step) in zip(self._record, steps, strict=True):
            packed["family"], packed["column"], packed["width"] = step.family, column, step.width
            packed["given"] = self.n_given
            packed["sizes"][: len(step.sizes)] = step.sizes
            packed["tables"][: len(step.tables)] = [address(one) for one in step.tables]
            packed["numbers"][: len(step.numbers)] = step.numbers
            self.n_given += step.n_given
        self._shared_columns = np.array(shared_columns, dtype=np.int64)
        self._plan = np.zeros(1, dtype=PLAN)
        [plan] = self._plan
        plan["steps"], plan["n_steps"] = address(self._record), len(steps)
        plan["shared_columns"], plan["n_shared"] = address(self._shared_columns), self.n_shared
        plan["n_columns"], plan["n_given"] = n_columns, self.n_given
        plan["width"] = max((step.width for step in self.steps), default=0)
        plan["n_work"] = max((step.n_work for step in self.steps), default=0)
        self.address = address(self._plan)
