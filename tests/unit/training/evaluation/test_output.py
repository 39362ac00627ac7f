"""Tables on a terminal say how others are beside the meta-model."""

from tests.judged import slate
from training.evaluation.evaluate import figures_of
from training.evaluation.measure import MRR
from training.evaluation.output import summary_table
from training.report.block import Cell, Mark, Tone


def test_a_rival_that_is_better_is_a_warning() -> None:
    """As in the report: the colour is of what it says of the meta-model."""
    means = {"meta": 0.25, "taste": 0.5, "popularity": 0.125}
    figures = figures_of(
        [slate(n, {name: {MRR: mean} for name, mean in means.items()}) for n in range(40)], seed=0
    )

    rows = summary_table("shown", figures).rows

    marks = {row[0]: row[2].mark for row in rows if isinstance(row[2], Cell)}
    assert marks["taste"] == Mark("better", Tone.BAD)
    assert marks["popularity"] == Mark("worse", Tone.GOOD)
