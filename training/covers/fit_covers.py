"""Fits the cover model: a hierarchical logistic regression of clicks on pictures."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from models.catalogue.catalogue import Catalogue
from models.covers.cover_model import CoverModel, differences
from models.dataset.events import EventTable
from models.neighbours.search import EMBEDDING_SIZE
from models.ranker.position_effect import PositionEffect
from training.covers.cover_examples import CoverExamples

# Chosen; fewer where the pictures differ in fewer ways.
_N_AXES: Final = 8
# Axes with less of the variance than this share of the first are rounding.
_LEAST_VARIANCE: Final = 1e-6
# Chosen, in log-odds: how much sales differ in what their pictures have in common.
_SALE_DEVIATION: Final = 1.0
# Chosen: what pictures differ by before a click is known, and a bound of what is estimated.
_PRIOR_DEVIATION: Final = 0.3
_LEAST_DEVIATION: Final = 0.02
_UNBOUND: Final = 100.0
_LOOKS, _AGREEMENT = 0, 2
# Chosen: a shop's own choice is believed to be better until clicks say otherwise.
_FIRST_PICTURE: Final = 0.3
# Chosen: no group of weights moves by more than 0.001 in the last of these (measured on the
# world of the tests).
_N_SWEEPS: Final = 30


def covers_of(
    events: EventTable, catalogue: Catalogue, *, effect: PositionEffect, outcome_us: int
) -> CoverModel | None:
    """Fit the covers of a log; None if no sale has two pictures.

    Args:
        events: The log.
        catalogue: All its sales.
        effect: P(examined) by position.
        outcome_us: Longest time from an impression to its click, microseconds.
    """
    model = unfitted(catalogue)
    if not len(model.agreement):
        return None
    examples = CoverExamples.from_events(
        events, catalogue, model=model, effect=effect, outcome_us=outcome_us
    )
    return fit_covers(model, examples)


def unfitted(catalogue: Catalogue) -> CoverModel:
    """Return a model that knows by what pictures of one sale differ, and nothing of clicks.

    Its axes are the principal ones of the differences, of which the first has a deviation of 1.
    """
    parts = [
        differences(one) for one in catalogue.pictures if one is not None and len(one.each) > 1
    ]
    every = np.concatenate([np.empty((0, EMBEDDING_SIZE)), *parts])
    variances, axes = np.linalg.eigh(every.T @ every / max(len(every), 1))
    found = np.flatnonzero(variances > max(variances[-1], 0.0) * _LEAST_VARIANCE)[::-1][:_N_AXES]
    scale = np.sqrt(variances[-1]) if len(found) else 1.0
    n_axes = len(found)
    return CoverModel(
        axes=axes[:, found] / scale,
        common=np.append(np.zeros(n_axes), _FIRST_PICTURE),
        agreement=np.zeros(n_axes),
        keys=np.empty(0, dtype=np.uint64),
        liking=np.empty(0),
    )


def fit_covers(model: CoverModel, examples: CoverExamples) -> CoverModel:
    """Fit the weights of a model by maximum a posteriori, their deviations by EM.

    The log-odds of a click are an intercept a sale, the log of P(examined), and what the model
    says of the picture. Blocks of weights are moved in turn by Newton steps: those of looks and
    taste together, and the intercept and pictures of each sale together.

    Args:
        model: Unfitted, whose axes the examples have.
        examples: Shown covers; without one the model is returned as it is.
    """
    if not len(examples.clicked):
        return model
    fit = _Fit.begin(examples, n_axes=len(model.agreement))
    for _ in range(_N_SWEEPS):
        fit = fit.swept()
    n_axes = len(model.agreement)
    return replace(
        model,
        common=fit.weights[: n_axes + 1],
        agreement=fit.weights[n_axes + 1 : -1],
        keys=fit.keys,
        liking=fit.liking,
    )


@dataclass(frozen=True, eq=False)
class _Fit:
    examples: CoverExamples
    design: NDArray[np.float64]
    groups: NDArray[np.intp]  # of each weight: looks, first picture, agreement, intercept
    sales: NDArray[np.intp]
    pictures: NDArray[np.intp]
    sale_of: NDArray[np.intp]  # of each picture
    keys: NDArray[np.uint64]
    means: NDArray[np.float64]  # of the weights, before any click
    weights: NDArray[np.float64]
    variances: NDArray[np.float64]  # of each group
    intercepts: NDArray[np.float64]
    liking: NDArray[np.float64]
    spread: float  # deviation of liking

    @classmethod
    def begin(cls, examples: CoverExamples, *, n_axes: int) -> "_Fit":
        _, sales = np.unique(examples.sale_keys, return_inverse=True)
        keys, first, pictures = np.unique(
            examples.picture_keys, return_index=True, return_inverse=True
        )
        looks = examples.vectors[:, :n_axes]
        n_clicks = examples.clicked.sum()
        # One more of each keeps the rate between 0 and 1.
        rate = (n_clicks + 1.0) / (examples.p_examined.sum() + n_clicks + 2.0)
        means = np.zeros(2 * n_axes + 2)
        means[[n_axes, -1]] = _FIRST_PICTURE, logit(rate)
        return cls(
            examples=examples,
            design=np.hstack([examples.vectors, looks * examples.tastes, np.ones((len(looks), 1))]),
            groups=np.repeat([0, 1, 2, 3], [n_axes, 1, n_axes, 1]),
            sales=sales,
            pictures=pictures,
            sale_of=sales[first],
            keys=keys,
            means=means,
            weights=means,
            variances=np.append(np.full(3, _PRIOR_DEVIATION**2), _UNBOUND**2),
            intercepts=np.zeros(1 + int(sales.max())),
            liking=np.zeros(len(keys)),
            spread=_PRIOR_DEVIATION,
        )

    def swept(self) -> "_Fit":
        """Move each block once, then the deviations."""
        return self._with_weights()._with_liking()

    def _residuals(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return what is not explained, and the curvature, shape ``(n,)`` each."""
        odds = np.log(self.examples.p_examined) + self.design @ self.weights
        p = expit(odds + self.intercepts[self.sales] + self.liking[self.pictures])
        return self.examples.clicked - p, p * (1.0 - p)

    def _with_weights(self) -> "_Fit":
        left, curvature = self._residuals()
        precision = 1.0 / self.variances[self.groups]
        hessian = (self.design * curvature[:, None]).T @ self.design + np.diag(precision)
        covariance = np.linalg.inv(hessian)
        weights = self.weights + covariance @ (
            self.design.T @ left - precision * (self.weights - self.means)
        )
        moments = np.square(weights) + np.diag(covariance)
        variances = self.variances.copy()
        # One weight alone says nothing of how such weights are spread.
        for group in (_LOOKS, _AGREEMENT):
            mean = moments[self.groups == group].mean() if len(weights) > len(variances) else 0.0
            variances[group] = max(mean, _LEAST_DEVIATION**2)
        return replace(self, weights=weights, variances=variances)

    def _with_liking(self) -> "_Fit":
        """Move the intercept of each sale and the liking of its pictures together.

        The Hessian of a sale is an arrow: its inverse is known by the Schur complement of the
        pictures. Variances are marginal: by those given the intercept, which are smaller, EM would
        find less and less difference.
        """
        left, curvature = self._residuals()
        n_sales, n_pictures = len(self.intercepts), len(self.liking)
        own = np.bincount(self.pictures, weights=curvature, minlength=n_pictures)
        precision = own + self.spread**-2
        slope = np.bincount(self.pictures, weights=left, minlength=n_pictures)
        slope -= self.liking * self.spread**-2
        of_sale = self.sale_of
        complement = np.bincount(of_sale, weights=own - own**2 / precision, minlength=n_sales)
        complement += _SALE_DEVIATION**-2
        rise = np.bincount(self.sales, weights=left, minlength=n_sales)
        rise -= self.intercepts * _SALE_DEVIATION**-2
        rise -= np.bincount(of_sale, weights=own * slope / precision, minlength=n_sales)
        moved = rise / complement
        liking = self.liking + (slope - own * moved[of_sale]) / precision
        variances = 1.0 / precision + (own / precision) ** 2 / complement[of_sale]
        spread = float(np.sqrt(np.mean(np.square(liking) + variances)))
        return replace(
            self,
            intercepts=self.intercepts + moved,
            liking=liking,
            spread=max(spread, _LEAST_DEVIATION),
        )
