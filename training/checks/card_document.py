"""Model card as the blocks of a page, and of a terminal."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from scipy.special import ndtr

from models.domain.event import KINDS
from models.experiments.analysis.multiple_tests import holm
from models.scoring.bundle import Manifest
from models.scoring.model_card import Figure, Figures, ModelCard
from models.scoring.probability import MEANINGS
from models.scoring.scorer import META
from training.baselines.baselines import BASELINES
from training.examples.outcomes import OUTCOMES, outcome_noun
from training.pipeline.model_card import judged_calibration
from training.report.block import (
    Bar,
    BarPlot,
    Block,
    Conclusion,
    Facts,
    Heading,
    Line,
    LinePlot,
    Mark,
    Paragraph,
    Table,
    Tone,
)
from training.statistics.bootstrap import Interval, Z
from training.statistics.difference import Difference, Verdict

_TINY: Final = 1e-12  # below any deviation of a reciprocal rank
_MRR: Final = "mrr"

# Verdicts on others, the worst first, in the colours of what they say of the bundle.
_MARKS: Final = {
    Verdict.BETTER: Mark("better", Tone.BAD),
    Verdict.OPEN: Mark("cannot tell", Tone.OPEN),
    Verdict.WORSE: Mark("worse", Tone.GOOD),
}
_ORDER: Final = tuple(_MARKS)

_MEASURED: Final = (
    "The lists are later than those that the measured ranker was fitted on; recommenders and "
    "baselines knew only what came before. The ranker's number of trees was chosen on these lists, "
    "which flatters it a little. The bundle's own ranker was then fitted on all lists."
)

NOT_COMPARABLE: Final = (
    "of each bundle's own held-out lists, not comparable with `evaluate`; sampled lists hold "
    "what was bought among sales drawn at random"
)


def card_blocks(card: ModelCard, manifest: Manifest) -> Iterator[Block]:
    """Yield the blocks of a model card: verdict, size, figures, then its data and parts."""
    yield from _head(card)
    yield Paragraph(
        f"A probability is that {MEANINGS[card.probability_of]}, within "
        f"{card.outcome_hours:g} hours. The objective was {card.objective}."
    )
    yield _plot(card)
    yield Heading("Figures on held-out lists")
    yield Paragraph(f"{_MEASURED} The figures are {NOT_COMPARABLE}.")
    yield figure_table(f"{card.held_out.kind} lists", card.figures, first="scorer")
    yield figure_table(f"Difference to {META}, paired", card.differences, first="scorer")
    for segment, figures in card.segments.items():
        yield figure_table(f"{segment}: {_n_lists(figures)}", figures, first="scorer")
    yield Heading("Importances")
    yield Paragraph("Loss of reciprocal rank where a group of features is permuted among sales.")
    losses = {name: {"loss": one} for name, one in card.importances.items()}
    yield figure_table("Permutation importance", losses, first="group")
    yield Heading("Calibration")
    if card.calibration:
        rows = {name: {"value": one} for name, one in card.calibration.items()}
        yield figure_table("Probabilities where they were shown", rows, first="figure")
        yield _calibration_plot(card)
    else:
        yield Paragraph("Not measured: sampled lists have the rates of the sample.")
    yield Heading("Data and parts")
    yield Table("Training data", ["", ""], _data_rows(card, manifest), of_words=True)


def _head(card: ModelCard) -> Iterator[Block]:
    yield card_conclusion(card)
    if text := judged_calibration(card):
        yield Paragraph(text)
    data, held_out = card.trained_on, card.held_out
    n_events, days = sum(data.n_events.values()), _days(data.first, data.until)
    judged = f"{held_out.n_outcomes:,} {outcomes(card)}, {_days(held_out.first, held_out.last)}"
    yield Facts(
        [
            ("Training data", f"{n_events:,} events", days),
            (
                outcomes(card).capitalize(),
                f"{n_outcomes(card):,}",
                f"of {data.n_customers:,} customers",
            ),
            ("Sales", f"{data.n_sales:,}", f"{data.sale_shares.get('picture', 0):.0%} pictured"),
            ("Held-out lists", f"{held_out.n_lists:,}", judged),
        ]
    )


def _n_lists(figures: Figures) -> str:
    n = max((one.n for row in figures.values() for one in row.values()), default=0)
    return f"{n:,} lists" if n else "lists of one customer alone, which are no figures"


def figure_table(caption: str, figures: Figures, *, first: str) -> Table:
    """Return a table of figures, a line a scorer and a column a metric."""
    metrics = list(dict.fromkeys(metric for row in figures.values() for metric in row))
    rows = [
        [name, *(figure_text(row.get(metric)) for metric in metrics)]
        for name, row in figures.items()
    ]
    return Table(caption, [first, *metrics], rows)


def figure_text(figure: Figure | None) -> str:
    """Write a figure with its interval on a second line; a dash without one."""
    if figure is None:
        return "-"
    return f"{figure.value:.4g}\n[{figure.low:.4g}, {figure.high:.4g}]"


def best_part(card: ModelCard) -> tuple[str, Figure] | None:
    """Return the best rival of the meta-model, with its difference to it; see `_verdicts`."""
    gaps, verdicts = _gaps(card), _verdicts(card)
    best = min(
        gaps, key=lambda name: (_ORDER.index(verdicts[name]), -gaps[name].value), default=None
    )
    return None if best is None else (best, gaps[best])


def _gaps(card: ModelCard) -> dict[str, Figure]:
    return {name: row[_MRR] for name, row in card.differences.items() if _MRR in row}


def _verdicts(card: ModelCard) -> dict[str, Verdict]:
    """Return whether each rival is better or worse than the meta-model, by the rules of `evaluate`.

    A p-value is that of a normal distribution with the interval's width, adjusted by Holm's method.
    """
    gaps = _gaps(card)
    if not gaps:
        return {}
    found = np.array([[one.value, one.high - one.low] for one in gaps.values()])
    deviations = np.maximum(found[:, 1] / (2 * Z), _TINY)
    p_values = 2 * ndtr(-np.abs(found[:, 0]) / deviations)
    # By chance alone all customers agree so often.
    adjusted = holm(np.maximum(p_values, 2.0 ** (1 - card.held_out.n_customers)))
    return {
        name: Difference(Interval(one.value, one.low, one.high, one.n), p).verdict
        for (name, one), p in zip(gaps.items(), adjusted.tolist(), strict=True)
    }


def card_conclusion(card: ModelCard) -> Conclusion:
    """Say whether the meta-model ranked held-out lists better than its parts and baselines."""
    best = best_part(card)
    if best is None:
        reason = f"No held-out list has {outcomes(card)}."
        if card.held_out.n_customers == 1:
            reason = "All held-out lists are of one customer, which says nothing of others."
        return Conclusion(Mark("cannot tell", Tone.OPEN), reason)
    name, gap = best
    own, verdicts = card.figures[META][_MRR].value, _verdicts(card)
    text = (
        f"On {card.held_out.n_lists:,} held-out {card.held_out.kind} lists with {outcomes(card)} "
        f"the mean reciprocal rank is {own:.3g}, that of the best part or baseline, {name}, "
        f"{own + gap.value:.3g}: difference {-gap.value:+.3g} [{-gap.high:+.3g}, {-gap.low:+.3g}]"
    )
    if verdicts[name] is Verdict.WORSE:
        return Conclusion(Mark("above its parts", Tone.GOOD), f"{text}.")
    if verdicts[name] is Verdict.BETTER:
        return Conclusion(Mark("below", Tone.BAD), f"{text}.")
    text += f", one of {len(verdicts)} comparisons."
    return Conclusion(Mark("cannot tell", Tone.OPEN), text)


def outcomes(card: ModelCard) -> str:
    """Return the name of the outcomes that a bundle learned."""
    return outcome_noun(card.objective)


def n_outcomes(card: ModelCard) -> int:
    """Return how many events of the training data are outcomes of the objective."""
    kinds = (KINDS[code].value for code in OUTCOMES[card.objective])
    return sum(card.trained_on.n_events.get(kind, 0) for kind in kinds)


def _plot(card: ModelCard) -> BarPlot:
    figures = {name: row[_MRR] for name, row in card.figures.items() if _MRR in row}
    marks = {name: _MARKS[verdict] for name, verdict in _verdicts(card).items()}
    marks[META] = Mark("this bundle", Tone.REFERENCE)
    bars = [
        Bar(
            f"{name} (baseline)" if name in BASELINES else name,
            one.value,
            one.low,
            one.high,
            marks.get(name, _MARKS[Verdict.OPEN]),
        )
        for name, one in sorted(figures.items(), key=lambda item: -item[1].value)
    ]
    return BarPlot(f"Mean reciprocal rank with 95% intervals; the word compares with {META}", bars)


def _calibration_plot(card: ModelCard) -> LinePlot:
    # Both axes as shares of the largest rate: purchases are rare, and would lie in a corner.
    largest = max(max(one.predicted, one.observed) for one in card.bins) or 1.0
    points = [(one.predicted / largest, one.observed / largest) for one in card.bins]
    axes = (f"predicted, 1 = {largest:.3g}", f"observed, 1 = {largest:.3g}")
    return LinePlot("Tenths of the predictions", *axes, [Line(META, points)])


def _data_rows(card: ModelCard, manifest: Manifest) -> list[list[str]]:
    data = card.trained_on
    absent = [f"{name}: {reason}" for name, reason in manifest.left_out.items()]
    events = ", ".join(f"{n:,} {name}" for name, n in data.n_events.items() if n)
    shares = ", ".join(f"{name} {share:.0%}" for name, share in data.sale_shares.items())
    return [
        ["period", f"{data.first} to {data.until}"],
        ["events", events],
        ["lists, those repeated included", f"{data.n_lists:,}"],
        ["sales with", shares],
        ["impressions with a position", f"{data.position_share:.0%}"],
        ["recommenders", ", ".join(manifest.recommenders)],
        ["recommenders left out", "; ".join(absent) or "none"],
        ["scene model", manifest.scene_model[:12] or "none"],
        ["data fingerprint", manifest.data_fingerprint[:12]],
        ["judged as", manifest.judged_as or "itself"],
        ["seed", str(manifest.seed)],
    ]


def _days(first: str, last: str) -> str:
    return f"{first[:10]} to {last[:10]}"
