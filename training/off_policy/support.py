"""Support of a log for a target policy: effective sample size, and clipped weights."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.domain.errors import UserError
from training.off_policy.rounds import Rounds
from training.statistics.effective_size import effective_size

# Share of the target policy's slates that a log may lack. Chosen: a tenth of the margin that a
# promotion's estimate may lose (`models.promotion.rule.EstimateRules`).
MAX_UNSUPPORTED: Final = 0.01
_TOLERANCE: Final = 1e-9  # rounding of products of probabilities
# One log in 16,000 goes beyond by chance; a heavy tail of weights also does, and should.
_STANDARD_ERRORS: Final = 4.0


class RefusedError(UserError):
    """A log without enough support for the target policy."""


class NoSupportError(RefusedError):
    """A target policy that shows sales which the logging policy never shows."""


class NoAnswersError(RefusedError):
    """A log of which every answer is left out."""


class NoTemperatureError(RefusedError):
    """A log that has no temperature of its own, or several."""


class TooFewRoundsError(RefusedError):
    """Too few logged slates that the target policy would show as well."""


@dataclass(frozen=True, slots=True)
class Support:
    """Support of a log for the target policy.

    Attributes:
        n_rounds: Logged slates.
        n_units: Units that they belong to.
        effective: Rounds of the target policy that the log is worth, by position down to
            which slates are judged: ``sum(w)^2 / sum(w^2)``.
        effective_rewarded: The same of rounds with a reward, for whole slates.
        mean_weight: Mean weight of whole slates before clipping; 1 but for chance.
        largest_weight: Largest of them.
        clip: Where weights were cut.
        clipped_rounds: Share of rounds with a weight that was cut.
        clipped_mass: Share of the weights of whole slates that was cut off.
        unsupported: Share of the target policy's slates that the log never shows, because it was
            certain of another sale: what they bring is in no estimate.
    """

    n_rounds: int
    n_units: int
    effective: tuple[float, ...]
    effective_rewarded: float
    mean_weight: float
    largest_weight: float
    clip: float
    clipped_rounds: float
    clipped_mass: float
    unsupported: float


def require_support(
    rounds: Rounds,
    weights: NDArray[np.float64],
    *,
    clip: float,
    min_rewarded: float,
    advice: Sequence[str] = (),
) -> Support:
    """Measure the support of a target policy in a log, and refuse where it is missing.

    Args:
        rounds: The log.
        weights: The clipped weights that estimates will use.
        clip: Where they were cut.
        min_rewarded: Rewarded rounds that the log must be worth.
        advice: What else helps where it is worth fewer.

    Raises:
        NoSupportError: If the log was made without chance where the target policy does
            otherwise in more than `MAX_UNSUPPORTED` of its slates, or the weights do not average
            1: the target policy shows what the logging policy never did, or logged propensities
            are not those it acted by.
        TooFewRoundsError: If the log is worth too few rewarded rounds.
    """
    unsupported = _require_chance(rounds)
    effective = effective_size(weights).tolist()
    is_rewarded = (rounds.rewards != 0).any(axis=1)
    rewarded = float(effective_size(weights[is_rewarded, -1:]).sum())
    if rewarded < min_rewarded:
        n_more = f"wait for {_times(min_rewarded, rewarded)} the answers"
        ways = [*_fewer_positions(rounds), *advice, n_more, "explore more of them"]
        msg = (
            f"{len(rounds)} logged slates, {int(is_rewarded.sum())} with a reward, count as "
            f"{rewarded:.3g} slates of the target policy with a reward, {min_rewarded:g} are "
            f"needed; with or without one they count as {_by_position(effective)}. What helps: "
            f"{', '.join(ways)}, or compare both by an interleaving"
        )
        raise TooFewRoundsError(msg)
    _require_mean_of_one(rounds)
    whole = rounds.weights[:, -1]
    return Support(
        n_rounds=len(rounds),
        n_units=len(np.unique(rounds.units)),
        effective=tuple(effective),
        effective_rewarded=rewarded,
        mean_weight=float(whole.mean()),
        largest_weight=float(whole.max()),
        clip=clip,
        clipped_rounds=float((rounds.weights > clip).any(axis=1).mean()),
        clipped_mass=1 - float(weights[:, -1].sum()) / float(whole.sum()),
        unsupported=unsupported,
    )


def _fewer_positions(rounds: Rounds) -> list[str]:
    return ["judge fewer positions (--positions)"] if rounds.rewards.shape[1] > 1 else []


def _by_position(effective: Sequence[float]) -> str:
    sizes = ", ".join(f"{size:.0f}" for size in effective)
    n_judged = ", ".join(str(number) for number in range(1, len(effective) + 1))
    if len(effective) == 1:
        return sizes
    return f"{sizes} where the first {n_judged} positions are judged"


def _times(wanted: float, found: float) -> str:
    return f"about {math.ceil(wanted / found)} times" if found else "more of"


def _require_chance(rounds: Rounds) -> float:
    """Refuse a log that was too often certain of another sale than the target policy's.

    Returns the share of the target policy's slates that the log therefore never shows.
    """
    # How likely the target policy comes to each place of the log: deep in a certain slate of a
    # mixture, a propensity rounds to 1 where that is as good as never.
    above = np.hstack([np.ones((len(rounds), 1)), rounds.weights[:, :-1]])
    lacking = np.where(rounds.logging == 1, above * (1 - rounds.target), 0.0)
    unsupported = float(lacking.sum()) / max(len(rounds), 1)
    if unsupported > MAX_UNSUPPORTED:
        missing = lacking > _TOLERANCE
        # The chance that the target policy gives to what the log never tried.
        mass = float((1 - rounds.target[missing]).mean())
        ways = [
            "Let the log explore (`exploration` of the policy, VITRINE_EXPLORED_SHARE)",
            *_fewer_positions(rounds),
            "or select answers that do (--variant)",
        ]
        msg = (
            f"no support: {int(missing.any(axis=1).sum())} of {len(rounds)} logged slates were "
            f"made without chance (propensity 1) where the target policy shows another sale with "
            f"probability {mass:.2g} on average. {', '.join(ways)}"
        )
        raise NoSupportError(msg)
    return unsupported


def _require_mean_of_one(rounds: Rounds) -> None:
    """Refuse weights whose mean is further from 1 than chance explains, unit by unit."""
    whole = rounds.weights[:, -1]
    _, group = np.unique(rounds.units, return_inverse=True)
    mean = float(whole.mean())
    # Weights of one unit depend on each other: their deviations are summed before they are squared.
    deviations = np.bincount(group, weights=whole - mean)
    error = float(np.sqrt((deviations**2).sum()) / len(rounds))
    if abs(mean - 1) > _STANDARD_ERRORS * error + _TOLERANCE:
        only = "judge only answers whose exploration reaches every sale (--variant)"
        ways = ", or ".join([*_fewer_positions(rounds), only])
        cause = (
            f"the target policy shows what the logging policy never shows: {ways}"
            if mean < 1
            else "the logged propensities are not those that the log was made by. Export again "
            "with the version that served, and check that no other list replaces the answers"
        )
        msg = f"no support: weights average {mean:.3g} ± {error:.2g} instead of 1: {cause}"
        raise NoSupportError(msg)
