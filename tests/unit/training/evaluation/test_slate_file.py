"""Scores of one's own are judged as those of a bundle, and slates are written as judged."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
import pytest

from models.ranker.objective import TrainingObjective
from tests.datasets import Row as Line
from tests.datasets import write_csv
from tests.logs import HOUR, MINUTE, Row
from tests.priced import impressions, price_scorer, question_on
from tests.worlds import Silent
from training.evaluation.evaluate import Evaluation, evaluate
from training.evaluation.own_scores import OWN_SCORES, OwnScores, OwnScoresError
from training.evaluation.protocol import Protocol, RankedSlate
from training.evaluation.slate_file import slate_file

# c1 is shown s2, s3, s1 and buys s3; c2 is shown s1, s2 and buys s2.
LOG: Final = [
    *impressions(0, "s2", "s3", "s1", exposure="x1"),
    Row(kind="click", at=MINUTE, sale="s1"),
    Row(kind="purchase", at=MINUTE, sale="s3"),
    *impressions(HOUR, "s1", "s2", customer="c2"),
    Row(kind="purchase", at=HOUR + MINUTE, sale="s2", customer="c2"),
]


def scores(path: Path, *lines: tuple[str, str, str]) -> Path:
    rows: list[Line] = [
        {"exposure_id": exposure, "sale_id": sale, "score": score}
        for exposure, sale, score in lines
    ]
    return write_csv(path / "scores.csv", rows)


def judged(own: OwnScores, directory: Path) -> Evaluation:
    extras = {str(protocol): {OWN_SCORES: own.scorer(protocol)} for protocol in Protocol}
    question = question_on(LOG, directory)
    return evaluate(price_scorer(), question, progress=Silent(), extras=extras)


def test_scores_of_ones_own_are_judged_on_the_lists_that_they_name(tmp_path: Path) -> None:
    """Of x1 they put s1 first, then s3, which was bought; s2, without a score, comes last."""
    file = scores(tmp_path, ("x1", "s1", "0.9"), ("x1", "s3", "0.5"), ("other", "s1", "1"))
    own = OwnScores.read(file)

    shown = judged(own, tmp_path).protocols["shown"]

    mrr = shown.scorers[OWN_SCORES]["mrr"]
    assert (mrr.value, mrr.n) == (0.5, 1)
    # The bundle puts s3 first, and is compared on the list with both.
    difference = shown.differences["meta"][OWN_SCORES]["mrr"].interval
    assert (difference.value, difference.n) == (-0.5, 1)
    assert own.summary() == {
        "rows": 3,
        "rows_of_no_judged_list": 1,
        "shown_lists": 1,
        "shown_lists_without": 1,
        "shown_sales_without": 1,
        # Two visits, and no score for s4.
        "open_lists": 0,
        "open_lists_without": 2,
        "open_sales_without": 0,
    }


def test_all_open_sales_are_ranked_where_each_has_a_score(tmp_path: Path) -> None:
    file = scores(tmp_path, *(("x1", f"s{n}", str(-n)) for n in (1, 2, 3, 4)))

    found = judged(OwnScores.read(file), tmp_path).protocols["open"].scorers[OWN_SCORES]["mrr"]

    assert (found.value, found.n) == (pytest.approx(1 / 3), 1)


def test_scores_in_parquet_with_short_names_and_numbers_as_ids_are_read(tmp_path: Path) -> None:
    path = tmp_path / "scores.parquet"
    pl.DataFrame({"exposure": [1, 1], "sale": [7, 8], "score": [2, 1]}).write_parquet(path)

    own = OwnScores.read(path)

    assert own.spans == {("1", ""): (0, 2)}
    assert sorted(own.scores.tolist()) == [1.0, 2.0]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([("x1", "s1", "high")], "row 1: exposure 'x1', sale 's1' and score 'high' must be"),
        ([("x1", "s1", "1"), ("x1", "s2", "")], "row 2: .* finite number; leave out"),
        ([("x1", "s1", "inf")], "row 1: .* finite number"),
        ([("", "s1", "1")], "row 1: exposure None"),
        ([("x1", "s1", "1"), ("x1", "s1", "2")], "'s1' of list 'x1' is scored more than once"),
    ],
)
def test_broken_scores_are_refused_with_row_and_value(
    tmp_path: Path, lines: list[tuple[str, str, str]], said: str
) -> None:
    with pytest.raises(OwnScoresError, match=said):
        OwnScores.read(scores(tmp_path, *lines))


def test_a_file_without_scores_is_refused_with_its_columns(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", [{"list": "x1", "sale_id": "s1", "score": "1"}])

    with pytest.raises(
        OwnScoresError, match=r"no column exposure_id or exposure; .* are list, sale"
    ):
        OwnScores.read(path)


def test_a_file_with_other_separators_is_refused_as_a_file_of_scores(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("exposure_id;sale_id;score\nx1;s1;1\n")

    with pytest.raises(OwnScoresError, match=r"^scores\.csv: has ';' between its columns"):
        OwnScores.read(path)


def test_a_page_is_refused_as_neither_csv_nor_parquet(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text("<html>")

    with pytest.raises(OwnScoresError, match=r"^report\.html: .*neither CSV nor Parquet"):
        OwnScores.read(page)


@pytest.mark.parametrize(
    ("values", "objective", "orders"),
    [
        ({"price": None}, "purchase", set[str]()),
        ({}, "purchase", {"meta-revenue"}),
        ({"margin": 5.0}, "purchase", {"meta-revenue", "meta-margin"}),
        ({}, "value", set[str]()),
        ({"margin": 5.0}, "value", {"meta-margin"}),
    ],
)
def test_orders_of_the_meta_model_that_would_be_copies_are_left_out(
    tmp_path: Path, values: Mapping[str, float | None], objective: str, orders: set[str]
) -> None:
    """With the objective `value` the meta-model is ordered by revenue itself."""
    question = question_on(LOG, tmp_path)
    sales = tuple(one.model_copy(update=values) for one in question.dataset.sales)
    scorer = replace(price_scorer(), objective=TrainingObjective(objective))

    found = evaluate(
        scorer,
        replace(question, dataset=replace(question.dataset, sales=sales)),
        progress=Silent(),
    )

    scorers = found.protocols["shown"].scorers.keys()
    assert scorers & {"meta-revenue", "meta-margin"} == orders


def test_scores_of_other_lists_are_refused_by_name(tmp_path: Path) -> None:
    own = OwnScores.read(scores(tmp_path, ("other", "s1", "1")))
    judged(own, tmp_path)

    with pytest.raises(OwnScoresError, match=r"none of its 1 rows .* first list is 'other'"):
        own.require_used()


# Both customers are shown page x1; c1 buys s3 of it, and c2 s2.
PAGE: Final = [
    *(
        row
        for customer in ("c1", "c2")
        for row in impressions(0, "s1", "s2", "s3", exposure="x1", customer=customer)
    ),
    Row(kind="purchase", at=MINUTE, sale="s3"),
    Row(kind="purchase", at=MINUTE, sale="s2", customer="c2"),
]


def test_slates_that_were_written_are_scores_of_the_lists_of_the_same_customers(
    tmp_path: Path,
) -> None:
    """Scores that put first what was bought, of two customers who saw lists of one name."""
    question, path = question_on(PAGE, tmp_path), tmp_path / "slates.parquet"
    with slate_file(path) as slates:
        evaluate(price_scorer(), question, progress=Silent(), record=slates.add)
    scored = pl.read_parquet(path).filter(protocol="shown")
    scored.rename({"slate": "exposure_id"}).select(
        "exposure_id", "customer_id", "sale_id", score=pl.col("bought").cast(pl.Float64)
    ).write_parquet(path)
    own = OwnScores.read(path)
    own.require_customers(question.dataset.events)

    extras = {"shown": {OWN_SCORES: own.scorer(Protocol.SHOWN)}}
    found = evaluate(price_scorer(), question, progress=Silent(), extras=extras)

    mrr = found.protocols["shown"].scorers[OWN_SCORES]["mrr"]
    assert (mrr.value, mrr.n) == (1, 2)
    assert own.summary()["rows_of_no_judged_list"] == 0


def test_a_name_that_customers_share_needs_the_customer(tmp_path: Path) -> None:
    own = OwnScores.read(scores(tmp_path, ("x1", "s1", "1")))

    own.require_customers(question_on(LOG, tmp_path).dataset.events)
    with pytest.raises(OwnScoresError, match=r"list 'x1' .* 2 customers: .* column customer_id"):
        own.require_customers(question_on(PAGE, tmp_path).dataset.events)


def test_scores_without_the_customer_of_a_row_are_refused(tmp_path: Path) -> None:
    line = {"exposure_id": "x1", "customer_id": "", "sale_id": "s1", "score": "1"}
    path = write_csv(tmp_path / "scores.csv", [line])

    with pytest.raises(OwnScoresError, match="row 1: has no customer"):
        OwnScores.read(path)


def test_the_file_of_slates_holds_what_the_figures_were_made_of(tmp_path: Path) -> None:
    question, path = question_on(LOG, tmp_path), tmp_path / "slates.parquet"
    with slate_file(path) as slates:
        found = evaluate(price_scorer(), question, progress=Silent(), record=slates.add)

    table = pl.read_parquet(path)
    shown = table.filter(protocol="shown")
    first = shown.filter(slate="x1").sort("rank_meta")
    assert first["sale_id"].to_list() == ["s3", "s2", "s1"]
    assert first["score_meta"].to_list() == pytest.approx(
        [np.log1p(30), np.log1p(20), np.log1p(10)]
    )
    assert first["rank_as_shown"].to_list() == [2, 1, 3]
    assert first["bought"].to_list() == [True, False, False]
    assert first["clicked"].to_list() == [False, False, True]
    assert first["paid"].to_list() == [30.0, 0.0, 0.0]
    # Without an exposure a slate is its customer and its moment.
    assert shown["slate"].unique().sort().to_list() == ["c2 2025-06-16T13:00:00.000000Z", "x1"]
    assert shown.filter(pl.col("slate") != "x1")["customer_id"].unique().to_list() == ["c2"]
    for protocol, one in found.protocols.items():
        ranked = table.filter(pl.col("protocol") == protocol, pl.col("bought"))
        by_rank = ranked.group_by("slate").agg(pl.col("rank_meta").min())["rank_meta"]
        assert one.scorers["meta"]["mrr"].value == pytest.approx((1 / by_rank).mean())


def test_who_knows_nothing_of_a_slate_ranks_it_as_chance_does(tmp_path: Path) -> None:
    """Not as another draw of it, which would look like knowledge in a table of few slates."""
    file = scores(tmp_path, ("x1", "s1", "1"), ("x1", "s2", "1"), ("x1", "s3", "1"))
    own, ranked = OwnScores.read(file), list[RankedSlate]()
    extras = {"shown": {OWN_SCORES: own.scorer(Protocol.SHOWN)}}
    question = question_on(LOG, tmp_path)
    evaluate(
        price_scorer(),
        question,
        progress=Silent(),
        extras=extras,
        record=lambda _, one: ranked.append(one),
    )

    [known] = [one.rankings for one in ranked if OWN_SCORES in one.rankings]
    assert known[OWN_SCORES].tolist() == known["random"].tolist()


def test_nothing_is_written_after_an_error(tmp_path: Path) -> None:
    path = tmp_path / "slates.parquet"
    question = question_on(LOG, tmp_path)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), slate_file(path):
        evaluate(price_scorer(), question, progress=Silent(), record=interrupt)

    assert not path.exists()
