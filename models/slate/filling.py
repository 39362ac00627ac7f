"""Filling of a slate's places, from the top, under the constraints of rules."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.rules.constraints import Constraints, Floor


@dataclass(frozen=True, slots=True)
class PinnedPlaces:
    """Pinned candidates of a slate.

    Attributes:
        by_place: Candidate by place, from 0.
        rules: Name of the rule by candidate.
        unmet: Pins beyond the slate, and those that no candidate meets which may be shown.
    """

    by_place: Mapping[int, int]
    rules: Mapping[int, str]
    unmet: tuple[str, ...]


class Filling:
    """Places of a slate that are filled one after the other.

    At any time `permitted` says which candidates may be next. What is excluded is never permitted,
    nor what a cap does not allow; pinned sales take their places only. A floor that needs all the
    places that are left permits its own candidates alone, as long as there are any.
    """

    def __init__(self, constraints: Constraints, pinned: PinnedPlaces, *, limit: int) -> None:
        """Start with empty places."""
        self._constraints = constraints
        self._limit = limit
        self._n_placed = 0
        self._free = constraints.allowed.copy()
        self._used = [defaultdict[int, int](int) for _ in constraints.caps]
        self._missing = [floor.at_least for floor in constraints.floors]
        self._waiting = dict(sorted(pinned.by_place.items()))
        for candidate in self._waiting.values():
            self._take(candidate)

    @classmethod
    def without_rules(cls, n: int, *, limit: int) -> Self:
        """Return places for any of ``n`` candidates."""
        return cls(Constraints.none(n), PinnedPlaces({}, {}, ()), limit=limit)

    @property
    def is_full(self) -> bool:
        """Whether all places are filled."""
        return self._n_placed >= self._limit

    @property
    def free(self) -> NDArray[np.bool_]:
        """Candidates that no exclusion, cap or earlier place forbids, shape ``(n,)``; read only."""
        return self._free

    def next_pinned(self) -> int | None:
        """Return the candidate that has to be placed now; None if any permitted one may be."""
        if not self._waiting or self.is_full:
            return None
        place, candidate = next(iter(self._waiting.items()))
        # Pinned sales of a slate that ends above their places are its last.
        return candidate if place <= self._n_placed or not self._free.any() else None

    def permitted(self) -> NDArray[np.bool_]:
        """Return which candidates may be placed next, shape ``(n,)``; read only.

        A pinned candidate goes first, see `next_pinned`.
        """
        n_missing = sum(n for n in self._missing if n > 0)
        if n_missing and n_missing >= self._limit - self._n_placed - len(self._waiting):
            wanted = self._free & self._of_floors(self._constraints.floors)
            if wanted.any():
                return wanted
        return self._free

    def forced_by(self, candidate: int) -> tuple[str, ...]:
        """Name the floors for whose sake a candidate is next, and the best free one is not."""
        best = first(self._free)
        if best is None or self.permitted()[best]:
            return ()
        pairs = zip(self._constraints.floors, self._missing, strict=True)
        return tuple(one.rule for one, n in pairs if n > 0 and one.matching.item(candidate))

    def place(self, candidate: int) -> None:
        """Place a permitted candidate, or the next pinned one."""
        self._n_placed += 1
        if self._waiting and next(iter(self._waiting.values())) == candidate:
            self._waiting.pop(next(iter(self._waiting)))
            return
        self._take(candidate)

    def _take(self, candidate: int) -> None:
        self._free[candidate] = False
        for cap, used in zip(self._constraints.caps, self._used, strict=True):
            group: int = cap.groups.item(candidate)
            if group >= 0:
                used[group] += 1
                if used[group] >= cap.at_most:
                    self._free &= cap.groups != group
        for index, floor in enumerate(self._constraints.floors):
            self._missing[index] -= floor.matching.item(candidate)

    def _of_floors(self, floors: Sequence[Floor]) -> NDArray[np.bool_]:
        unmet = [one.matching for one, n in zip(floors, self._missing, strict=True) if n > 0]
        return np.logical_or.reduce(unmet)


def pinned_places(constraints: Constraints, *, limit: int) -> PinnedPlaces:
    """Choose the candidate of each pin: the best that may be shown, at the next free place.

    Args:
        constraints: Of candidates that are ordered, best first; pins by precedence.
        limit: Length of the slate.
    """
    by_place: dict[int, int] = {}
    rules: dict[int, str] = {}
    unmet: list[str] = []
    for pin in constraints.pins:
        filling = Filling(constraints, PinnedPlaces(by_place, rules, ()), limit=limit)
        place = next((p for p in range(pin.place, limit) if p not in by_place), None)
        candidate = first(pin.matching & filling.free)
        if place is None or candidate is None:
            unmet.append(pin.rule)
            continue
        by_place[place] = candidate
        rules[candidate] = pin.rule
    return PinnedPlaces(by_place, rules, tuple(unmet))


def first(mask: NDArray[np.bool_]) -> int | None:
    """Return the first index of a mask that is set; None if there is none."""
    index = int(mask.argmax()) if len(mask) else 0
    return index if len(mask) and mask[index] else None
