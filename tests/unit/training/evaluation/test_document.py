"""The report shows what was found, and what each scorer would have shown."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.catalogue.snapshot import Snapshot
from models.domain.event import EventType
from models.domain.units import DAY_US, HOUR_US
from models.pictures.topics import Topics
from models.ranker.objective import Policy, TrainingObjective
from models.recommenders.registry import RECOMMENDERS
from tests.judged import slate
from tests.logs import sale
from training.evaluation.document import document
from training.evaluation.evaluate import Evaluation, figures_of
from training.evaluation.example_slates import TALK, Thumbnails, examples, talk_lines
from training.evaluation.measure import PURCHASES, REALISED_REVENUE
from training.evaluation.protocol import EvaluatedSlate, PastEvent
from training.report.block import BarPlot, Facts, Mark, Paragraph, PictureGrid, Table, Tone
from training.report.page import page
from training.statistics.reliability import Predictions, reliability

HOSTILE = '"><script src="http://evil.example/x.js"></script>'


def two_slates() -> list[EvaluatedSlate]:
    gains = {"popularity": 0.1, "images": 0.2, "meta": 0.3, "knowable": 0.5}
    metrics = {name: {PURCHASES: gain, "mrr": gain} for name, gain in gains.items()}
    chosen = {"popularity": (0, 1), "images": (1, 0), "meta": (1, 0), "knowable": (1, 0)}
    return [
        slate(1, metrics, n_events=0, candidates=(0, 1), bought=(1,), chosen=chosen),
        slate(
            2,
            metrics,
            n_events=20,
            now_us=DAY_US,
            before=(PastEvent(0, EventType.CART, age_s=7_260.0),),
            candidates=(0, 1),
            chosen=chosen,
            market=HOSTILE,
        ),
    ]


def report() -> Evaluation:
    sales = {one.sale_id: one for one in (sale("s1"), sale("s2"))}
    sales["s1"] = sales["s1"].model_copy(update={"title": HOSTILE})
    predictions = Predictions(np.linspace(0.1, 0.5, 20), np.tile([0.0, 1.0], 10), np.arange(20))
    return Evaluation(
        protocols={"open": figures_of(two_slates(), seed=0)},
        catalogue=Snapshot.from_sales(sales, {}).catalogue(Topics.none()),
        reliability={"as_shown": reliability(predictions, seed=0)},
    )


def test_the_comparison_goes_from_popularity_to_the_mix() -> None:
    """With as many customers as a verdict takes."""
    judged = [replace(one, customer=n) for n in range(10) for one in two_slates()]
    evaluation = replace(report(), protocols={"open": figures_of(judged, seed=0)})
    blocks = document(evaluation, thumbnail=Thumbnails({}))

    tables = {block.caption: block for block in blocks if isinstance(block, Table)}
    talk = tables["From popularity to the mix"]
    assert [row[0] for row in talk.rows] == [
        "popularity (popularity)",
        "pictures only (images)",
        "mix (meta)",
    ]
    lift = tables["Share of the knowable oracle's lift over popularity"]
    assert dict(zip(lift.columns, lift.rows[2], strict=True))[PURCHASES] == "0.5\n[0.5, 0.5]"
    assert "better" in str(tables["Difference to popularity"].rows)


def test_an_example_says_what_the_customer_did_and_bought() -> None:
    blocks = document(report(), thumbnail=Thumbnails({}))

    first, second = (one for one in blocks if isinstance(one, Table) and "Visit" in one.caption)
    assert first.rows == [["before", "nothing", "known of this customer"], ["then", "bought", "s2"]]
    known = replace(two_slates()[0], attributes={"type": "student", "age": 34.0})
    only = replace(report(), protocols={"open": figures_of([known], seed=0)})
    blocks_of_a_visitor = document(only, thumbnail=Thumbnails({}))
    visit = next(
        one for one in blocks_of_a_visitor if isinstance(one, Table) and "Visit" in one.caption
    )
    assert visit.rows == [
        ["", "known", "type: student, age: 34"],
        ["before", "nothing", "on record"],
        ["then", "bought", "s2"],
    ]
    assert second.rows == [
        ["2 hours before", "cart", HOSTILE],
        ["then", "nothing", "bought of these sales"],
    ]
    grids = [block for block in blocks if isinstance(block, PictureGrid)]
    assert [picture.mark for picture in grids[1].pictures] == [
        None,
        Mark("bought", Tone.GOOD),
    ]


def test_metrics_that_no_order_changes_are_left_out_and_named() -> None:
    """As the recall of lists that are no longer than ten sales; the metric that decides stays."""
    judged = [
        slate(
            customer,
            {
                name: {"mrr": gain, "recall_at_10": 1.0, "auc": gain}
                for name, gain in (("meta", 0.5), ("popularity", 0.25))
            },
            chosen={"popularity": (0, 1), "meta": (1, 0)},
            candidates=(0, 1),
            bought=(1,),
        )
        for customer in range(4)
    ]
    blocks = document(
        replace(report(), protocols={"shown": figures_of(judged, seed=0)}),
        thumbnail=Thumbnails({}),
    )

    tables = [one for one in blocks if isinstance(one, Table) and one.columns[0] == "scorer"]
    assert tables
    assert not any("recall_at_10" in one.columns for one in tables)
    texts = [one.text for one in blocks if isinstance(one, Paragraph)]
    assert any("at most ten sales: recall_at_10. They are in --json." in one for one in texts)


def test_a_scorer_that_says_nothing_is_left_out_by_name() -> None:
    """It would rank as `random` does, and be called worse."""
    gains = {"meta": 0.5, "session": 0.25, "random": 0.25}
    judged = [
        slate(
            customer,
            {name: {"mrr": gain} for name, gain in gains.items()},
            candidates=(0, 1),
            bought=(1,),
            chosen=dict.fromkeys(gains, (0, 1)),
            is_split={"meta": True, "session": False, "random": True},
        )
        for customer in range(40)
    ]
    figures = figures_of(judged, seed=0)
    blocks = document(replace(report(), protocols={"shown": figures}), thumbnail=Thumbnails({}))

    assert figures.silent == ("session",)
    assert figures.scorers.keys() == figures.coverage.keys() == {"meta", "random"}
    assert figures.differences["meta"].keys() == {"random"}
    texts = [one.text for one in blocks if isinstance(one, Paragraph)]
    assert any(one.endswith("would rank as `random` does: session.") for one in texts)


def test_the_plot_says_of_undecided_scorers_that_it_cannot_tell() -> None:
    """Popularity is above the meta-model on one slate, and as far below on the other."""
    judged = [
        slate(
            customer,
            {"popularity": {"mrr": gain}, "meta": {"mrr": 0.3}},
            n_events=0,
            candidates=(0, 1),
            bought=(1,),
            chosen={"popularity": (0, 1), "meta": (1, 0)},
        )
        for customer, gain in ((1, 0.1), (2, 0.5))
    ]
    evaluation = replace(report(), protocols={"open": figures_of(judged, seed=0)})

    blocks = document(evaluation, thumbnail=Thumbnails({}))

    plot = next(block for block in blocks if isinstance(block, BarPlot))
    assert {bar.name: bar.mark for bar in plot.bars} == {
        "popularity": Mark("cannot tell", Tone.OPEN),
        "meta": Mark("this bundle", Tone.REFERENCE),
    }


def test_a_report_of_clicks_names_them() -> None:
    figures = figures_of(two_slates(), seed=0, objective=TrainingObjective.CLICK)
    evaluation = replace(report(), protocols={"open": figures})

    blocks = document(evaluation, thumbnail=Thumbnails({}))

    first, second = (one for one in blocks if isinstance(one, Table) and "Visit" in one.caption)
    assert first.rows[-1] == ["then", "clicked or bought", "s2"]
    assert second.rows[-1] == ["then", "nothing", "clicked or bought of these sales"]
    grids = [block for block in blocks if isinstance(block, PictureGrid)]
    assert [grid.caption for grid in grids[:2]] == [
        "what was clicked or bought",
        "popularity (popularity): clicked or bought at rank 2",
    ]
    assert [picture.mark for picture in grids[1].pictures] == [
        None,
        Mark("clicked or bought", Tone.GOOD),
    ]


def test_money_is_compared_with_popularity_and_with_the_best_rival() -> None:
    means = {"meta": 20.0, "popularity": 10.0, "bought_before": 25.0, "random": 5.0}
    metrics = {name: {REALISED_REVENUE: mean} for name, mean in means.items()}
    chosen = dict.fromkeys(means, (0,))
    judged = [slate(n, metrics, candidates=(0,), chosen=chosen) for n in range(3)]
    evaluation = replace(report(), protocols={"open": figures_of(judged, seed=0)})

    (facts,) = (
        block
        for block in document(evaluation, thumbnail=Thumbnails({}))
        if isinstance(block, Facts)
    )

    name, figure, note = facts.facts[0]
    assert (name, figure) == ("Revenue of a slate with a purchase, first ten", "20")
    assert note.startswith("popularity: 10; difference +10 ")
    assert note.endswith("; best part or baseline, bought_before: 25")


def test_money_that_is_the_same_in_any_order_is_left_out() -> None:
    """Of lists of at most ten sales the first ten are all."""
    metrics = {name: {REALISED_REVENUE: 20.0} for name in ("meta", "popularity", "random")}
    chosen = dict.fromkeys(metrics, (0,))
    judged = [slate(n, metrics, candidates=(0,), chosen=chosen) for n in range(3)]
    figures = figures_of(judged, seed=0, objective=TrainingObjective.CLICK)
    evaluation = replace(report(), protocols={"shown": figures})

    (facts,) = (
        block
        for block in document(evaluation, thumbnail=Thumbnails({}))
        if isinstance(block, Facts)
    )

    assert not any("Revenue" in name for name, _, _ in facts.facts)


def test_a_table_of_many_metrics_is_divided() -> None:
    """Nine metrics and the coverage are two tables, of seven columns and of three."""
    metrics = [f"m{n}" for n in range(9)]
    values = {"meta": dict.fromkeys(metrics, 0.5)}
    judged = [slate(n, values, candidates=(0,), chosen={"meta": (0,)}) for n in range(3)]
    evaluation = replace(report(), protocols={"open": figures_of(judged, seed=0)})

    tables = {
        block.caption: block
        for block in document(evaluation, thumbnail=Thumbnails({}))
        if isinstance(block, Table)
    }

    assert tables["All scorers"].columns == ["scorer", *metrics[:7]]
    rest = tables["All scorers, continued"]
    assert rest.columns == ["scorer", "m7", "m8", "coverage"]
    assert rest.rows[0][:2] == ["meta", "0.5"]


def test_the_opening_names_size_and_period() -> None:
    (facts,) = (
        block for block in document(report(), thumbnail=Thumbnails({})) if isinstance(block, Facts)
    )

    assert facts.facts == [
        ("Lift reached", "50%", "of the best possible gain over popularity [50%, 50%]"),
        ("Slates", "2", "of 2 customers"),
        ("Purchases", "1", "of ranked sales, soon after"),
        ("Period", "1.0 days", "1 Jan 1970 to 2 Jan 1970, UTC"),
    ]


def test_a_line_without_a_recommender_is_left_out() -> None:
    assert talk_lines(["meta", "popularity"]) == {"popularity": "popularity", "mix": "meta"}


def test_every_line_stands_for_policies_that_there_are() -> None:
    there = {*RECOMMENDERS, *Policy}

    assert all(there.issuperset(names) for names in TALK.values())


def test_slates_stand_side_by_side_with_their_pictures(tmp_path: Path, tiny_world: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8 no picture")
    picture = next((tiny_world / "images").iterdir())

    blocks = document(report(), thumbnail=Thumbnails({"s1": {1: picture}, "s2": {1: broken}}))

    grids = [block for block in blocks if isinstance(block, PictureGrid)]
    assert [grid.caption for grid in grids[:5]] == [
        "what was bought",
        "popularity (popularity): bought at rank 2",
        "pictures only (images): bought at rank 1",
        "mix (meta): bought at rank 1",
        "popularity (popularity)",
    ]
    first, second = grids[1].pictures
    assert first.caption.startswith(HOSTILE)
    assert (first.jpeg[:2], second.jpeg) == (b"\xff\xd8", b"")


def test_hostile_titles_and_markets_are_text() -> None:
    html = page("a", document(report(), thumbnail=Thumbnails({})))

    assert "<script" not in html
    assert "&lt;script" in html


def test_examples_are_slates_with_a_purchase_where_there_are_enough() -> None:
    judged = [slate(customer, {}, bought=(1,) * (customer % 2)) for customer in range(9)]

    assert {one.customer % 2 for one in examples(judged, 4)} == {1}
    assert len(examples(judged, 6)) == 6


def test_examples_of_too_few_purchases_are_spread_over_time() -> None:
    judged = [
        replace(slate(hour, {}, bought=(1,) * (hour == 2)), now_us=hour * HOUR_US)
        for hour in range(5)
    ]

    assert [one.now_us // HOUR_US for one in examples(judged, 3)] == [0, 2, 4]


def test_examples_are_of_different_customers_of_every_kind() -> None:
    judged = [
        *(slate(1, {}, n_events=0) for _ in range(9)),
        *(slate(customer, {}, n_events=50) for customer in range(2, 9)),
    ]

    chosen = examples(judged, 4)

    assert [one.situation.n_events for one in chosen] == [0, 50, 50]
    assert len({one.customer for one in chosen}) == 3
    assert examples([], 4) == ()


@pytest.mark.parametrize("n", [1, 2])
def test_no_more_examples_are_chosen_than_asked_for(n: int) -> None:
    assert len(examples(two_slates(), n)) == n
