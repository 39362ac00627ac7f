"""Forced variants of a request: another platform decides instead of the hash."""

from collections.abc import Iterable
from typing import Annotated, Final

from pydantic import Field

from app.errors import ExclusiveVariantsError
from models.experiments.plan.experiment import MAX_VARIANTS

_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"

ForcedPair = Annotated[str, Field(pattern=rf"^{_NAME}:{_NAME}$")]


ForcedPairs = Annotated[
    tuple[ForcedPair, ...],
    Field(
        max_length=MAX_VARIANTS,
        description="Variants to force, as `experiment:variant`: where another platform decides, "
        "or to look at them. They are recorded as forced, and count in no result.",
        examples=[["home-page:popularity"]],
    ),
]
"""Forced variants of a request, at most one per experiment."""


def forced(pairs: Iterable[str]) -> dict[str, str]:
    """Return the variant by experiment; repeated pairs count once.

    Raises:
        ExclusiveVariantsError: If an experiment is forced to different variants.
    """
    found: dict[str, str] = {}
    for pair in pairs:
        experiment, _, variant = pair.partition(":")
        if found.setdefault(experiment, variant) != variant:
            msg = f"experiment {experiment!r} is forced to {found[experiment]!r} and {variant!r}"
            raise ExclusiveVariantsError(msg)
    return found
