"""Makes the model card of a bundle: its data, and figures of the later slates."""

from dataclasses import asdict

import numpy as np

from models.domain.event import KIND, KINDS, EventType, from_us
from models.ranker.objective import Policy, TrainingObjective
from models.scoring.model_card import (
    Figure,
    Figures,
    HeldOut,
    ModelCard,
    ReliabilityBin,
    TrainingPeriod,
)
from models.scoring.probability import ProbabilityOf
from models.scoring.scorer import META
from training.configuration import RunConfig
from training.examples.outcomes import objective_for, outcome_noun
from training.examples.point_in_time import PointInTime
from training.examples.slates import Slates, has_impressions
from training.pipeline.held_out import (
    MAX_CALIBRATED,
    MAX_PERMUTED,
    MAX_RANKED,
    HeldOutSlates,
    Intervals,
    calibration_of,
    importances_of,
    orders_of,
    segments_of,
)
from training.pipeline.training_data import TrainingData
from training.ranker.early_stopping import MetaModel, RankerTraining
from training.statistics.bootstrap import Interval
from training.statistics.calibration_verdict import calibration_text
from training.statistics.reliability import Reliability


def probability_of(past: PointInTime, slates: Slates, *, config: RunConfig) -> ProbabilityOf:
    """Return what the probabilities of a ranker are of, by the examples that it learned from."""
    is_click = objective_for(config, past.events) is TrainingObjective.CLICK
    if not has_impressions(past.events):
        return ProbabilityOf.CLICK_VISIT if is_click else ProbabilityOf.VISIT
    if config.caller_orders:
        return ProbabilityOf.CLICKED_LISTED if is_click else ProbabilityOf.LISTED
    if slates.positions.any():
        return ProbabilityOf.CLICKED_FIRST if is_click else ProbabilityOf.SHOWN_FIRST
    return ProbabilityOf.CLICKED if is_click else ProbabilityOf.SHOWN


def model_card(
    data: TrainingData,
    past: PointInTime,
    *,
    training: RankerTraining,
    ranker: MetaModel,
) -> ModelCard:
    """Measure a ranker that was fitted on the earlier slates on the later ones.

    Its number of trees was chosen on the same later slates, which flatters it a little.

    Args:
        data: The training data.
        past: The state at every moment.
        training: All slates, at least one of the later ones with a purchase.
        ranker: The ranker, fitted on the earlier slates.
    """
    held_out, config = HeldOutSlates.from_training(training, ranker), training.config
    sold = held_out.sold().spread(MAX_RANKED)
    baseline = {Policy.LOGISTIC.value: training.early_logistic.log_odds(sold.matrix)}
    orders = {**orders_of(sold, past, config=config), **baseline}
    columns = sold.measure(orders)
    gaps = {
        (name, metric): column - columns[META, metric]
        for (name, metric), column in columns.items()
        if name != META
    }
    is_shown = has_impressions(past.events)
    reliability = Reliability({}, ())
    if is_shown:
        reliability = calibration_of(held_out.spread(MAX_CALIBRATED))
    return ModelCard(
        objective=objective_for(config, past.events),
        probability_of=probability_of(past, training.slates, config=config),
        outcome_hours=config.outcome_hours,
        trained_on=_period(data, training.slates),
        held_out=_described(sold.slates, is_shown=is_shown),
        figures=_figures(sold.intervals(columns)),
        differences=_figures(sold.intervals(gaps)),
        segments={
            segment: _figures(sold.intervals(columns, within=mask))
            for segment, mask in segments_of(sold, past).items()
        },
        calibration={name: _figure(one) for name, one in reliability.figures.items()},
        bins=[ReliabilityBin(**asdict(one)) for one in reliability.bins],
        importances={
            name: _figure(one) for name, one in importances_of(sold.spread(MAX_PERMUTED)).items()
        },
    )


def judged_calibration(card: ModelCard) -> str:
    """Say whether held-out probabilities are as wanted; nothing if they were not measured."""
    if not card.calibration:
        return ""
    figures = {
        name: Interval(one.value, one.low, one.high, one.n)
        for name, one in card.calibration.items()
    }
    return calibration_text(figures, outcomes=f"held-out {outcome_noun(card.objective)}")


def _period(data: TrainingData, slates: Slates) -> TrainingPeriod:
    events, sales = data.dataset.events, data.dataset.sales
    by_kind = np.bincount(events.kinds, minlength=len(KINDS)).tolist()
    shown = events.positions[events.kinds == KIND[EventType.IMPRESSION]]
    return TrainingPeriod(
        first=_time(int(events.at_us.min())),
        until=_time(data.until_us),
        n_sales=len(sales),
        n_customers=len(np.unique(events.customers.codes)),
        n_events={kind.value: n for kind, n in zip(KINDS, by_kind, strict=True)},
        n_lists=len(slates),
        sale_shares={
            name: sum(has) / max(len(sales), 1)
            for name, has in {
                "picture": [one.sale_id in data.pictures for one in sales],
                "text": [bool(one.title or one.description) for one in sales],
                "price": [one.price is not None for one in sales],
                "market": [bool(one.markets) for one in sales],
            }.items()
        },
        position_share=float((shown > 0).mean()) if len(shown) else 0.0,
    )


def _described(slates: Slates, *, is_shown: bool) -> HeldOut:
    return HeldOut(
        kind="shown" if is_shown else "sampled",
        first=_time(int(slates.now_us[0])),
        last=_time(int(slates.now_us[-1])),
        n_lists=len(slates),
        n_customers=len(np.unique(slates.customers)),
        n_outcomes=int(slates.bought.sum()),
    )


def _figures(intervals: Intervals) -> Figures:
    return {
        name: {metric: _figure(one) for metric, one in metrics.items()}
        for name, metrics in intervals.items()
    }


def _figure(interval: Interval) -> Figure:
    return Figure(**asdict(interval))


def _time(moment_us: int) -> str:
    return from_us(moment_us).isoformat(timespec="seconds")
