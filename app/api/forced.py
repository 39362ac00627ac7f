"""Variants that another platform decides instead of the hash."""

from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from models.experiments.experiment import MAX_VARIANTS

_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"

ForcedPair = Annotated[str, Field(pattern=rf"^{_NAME}:{_NAME}$")]


def _one_each(pairs: tuple[str, ...]) -> tuple[str, ...]:
    """Take what is said twice as said once, and refuse what contradicts itself."""
    different = tuple(dict.fromkeys(pairs))
    experiment, n_times = Counter([_split(pair)[0] for pair in different] or [""]).most_common(1)[0]
    if n_times > 1:
        msg = f"experiment {experiment!r} is forced {n_times} times, to different variants"
        raise ValueError(msg)
    return different


ForcedPairs = Annotated[
    tuple[ForcedPair, ...],
    AfterValidator(_one_each),
    Field(
        max_length=MAX_VARIANTS,
        description="Variants to force, as `experiment:variant`: where another platform decides, "
        "or to look at them. They are recorded as forced, and count in no result.",
        examples=[["home-page:popularity"]],
    ),
]
"""What a request forces, at most one variant per experiment."""


def forced(pairs: Iterable[str]) -> dict[str, str]:
    """Return the variant by experiment."""
    return dict(_split(pair) for pair in pairs)


def _split(pair: str) -> tuple[str, str]:
    experiment, _, variant = pair.partition(":")
    return experiment, variant
