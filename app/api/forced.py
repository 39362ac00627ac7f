"""Variants that another platform decides instead of the hash."""

from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from models.experiments.experiment import MAX_VARIANTS

_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"

ForcedPair = Annotated[str, Field(pattern=rf"^{_NAME}:{_NAME}$")]


def _one_each(pairs: tuple[str, ...]) -> tuple[str, ...]:
    experiment, n_times = Counter([_split(pair)[0] for pair in pairs] or [""]).most_common(1)[0]
    if n_times > 1:
        msg = f"experiment {experiment!r} is forced {n_times} times"
        raise ValueError(msg)
    return pairs


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
"""What a request forces, at most once per experiment."""


def forced(pairs: Iterable[str]) -> dict[str, str]:
    """Return the variant by experiment."""
    return dict(_split(pair) for pair in pairs)


def _split(pair: str) -> tuple[str, str]:
    experiment, _, variant = pair.partition(":")
    return experiment, variant
