"""Tables on a terminal say how others are beside the meta-model."""

from dataclasses import replace

from models.catalogue.snapshot import Snapshot
from models.pictures.topics import Topics
from tests.judged import slate
from training.evaluation.comparison import pair
from training.evaluation.conclusion import conclusion
from training.evaluation.evaluate import Evaluation, figures_of
from training.evaluation.measure import MRR
from training.evaluation.output import as_json, paired_blocks, summary_table
from training.report.block import Cell, Conclusion, Mark, Table, Tone


def test_a_rival_that_is_better_is_a_warning() -> None:
    """As in the report: the colour is of what it says of the meta-model."""
    means = {"meta": 0.25, "taste": 0.5, "popularity": 0.125}
    figures = figures_of(
        [slate(n, {name: {MRR: mean} for name, mean in means.items()}) for n in range(40)], seed=0
    )

    table = summary_table("shown", figures)
    rows = table.rows

    assert table.caption.startswith("shown: ")
    marks = {row[0]: row[2].mark for row in rows if isinstance(row[2], Cell)}
    assert marks["taste"] == Mark("better", Tone.BAD)
    assert marks["popularity"] == Mark("worse", Tone.GOOD)


def test_of_one_customer_no_interval_is_shown() -> None:
    """All resamples of one customer agree, which is no certainty."""
    one = [slate(7, {"meta": {MRR: 0.5}, "taste": {MRR: 0.25}}) for _ in range(9)]
    two = [slate(n, {"meta": {MRR: 0.5 * n}, "taste": {MRR: 0.25}}) for n in range(3)]

    [meta, taste] = summary_table("shown", figures_of(one, seed=0)).rows
    [varied, _] = summary_table("shown", figures_of(two, seed=0)).rows

    assert meta == ["meta", "0.5", ""]
    assert taste == ["taste", "0.25", Cell("-0.25", Mark("open", Tone.OPEN))]
    assert str(varied[1]).startswith("0.5\n[0, ")


def test_no_difference_has_no_sign() -> None:
    slates = [slate(n, {"meta": {MRR: 0.5}, "taste": {MRR: 0.5}}) for n in range(9)]
    figures = figures_of(slates, seed=0)
    gap = figures.differences["meta"]["taste"][MRR]
    figures.differences["meta"]["taste"][MRR] = replace(
        gap, interval=replace(gap.interval, value=-0.0, low=-0.0, high=0.1)
    )

    rows = summary_table("shown", figures).rows

    assert [row[2].text for row in rows if isinstance(row[2], Cell)] == ["0\n[0, 0.1]"]


def test_two_bundles_are_read_across() -> None:
    """One table of four columns; all customers agree, so that the interval is a point."""
    own = [slate(n, {"meta": {MRR: 0.5}}) for n in range(9)]
    other = [slate(n, {"meta": {MRR: 0.25}}) for n in range(9)]
    paired = pair(own, other, reference_id="b2", seed=0)
    catalogue = Snapshot.from_sales({}, {}).catalogue(Topics.none())
    evaluation = Evaluation(
        {"shown": figures_of(own, seed=0)}, catalogue, {}, paired={"shown": paired}
    )

    found = as_json(evaluation)["conclusion"]
    assert isinstance(found, dict)
    assert found["verdict"] == "cannot tell"
    assert found["text"] == conclusion(evaluation).text
    assert str(found["calibration"]).startswith("Probabilities were not judged")
    said, table = paired_blocks(evaluation)

    assert isinstance(said, Conclusion)
    assert "This bundle ranks better than bundle b2." in said.text
    assert "0.5 against 0.25, difference +0.25 [+0.25, +0.25], on 9 slates" in said.text
    assert isinstance(table, Table)
    assert table.rows == [["mrr", "0.5", "0.25", "0.25"]]
