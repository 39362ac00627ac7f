"""A bundle and a dataset of different shops are refused; a few unknown sales are counted."""

from pathlib import Path

import pytest

from models.domain.event import from_us
from tests.logs import DAY, NOON, Row, sale
from tests.priced import SALES, price_scorer, question_on
from training.evaluation.known_sales import UnknownSalesError, count_known_sales, unknown_sales


def test_unknown_and_later_sales_and_events_of_others_are_counted(tmp_path: Path) -> None:
    later = sale("s9", opens_at=from_us(NOON + DAY))
    log = [Row(sale="s1"), Row(sale="s9"), Row(sale="elsewhere"), Row(sale="gone", at=-3 * DAY)]

    scorer, question = (
        price_scorer(known=SALES[:2]),
        question_on(log, tmp_path, sales=(*SALES, later)),
    )

    found = count_known_sales(scorer, question)

    assert unknown_sales(scorer, question) == ["s3", "s4"]
    assert found == {
        "known": 2,
        "unknown": 2,
        "opened_later": 1,
        "events": 3,
        "events_of_unlisted_sales": 1,
    }


def test_a_bundle_that_knows_less_than_half_of_the_sales_is_refused(tmp_path: Path) -> None:
    question = question_on([Row()], tmp_path)

    with pytest.raises(UnknownSalesError, match=r"b1 does not know 3 of 4 sales .* such as 's2'"):
        count_known_sales(price_scorer(known=SALES[:1]), question)


def test_events_of_other_sales_are_refused_beyond_half(tmp_path: Path) -> None:
    question = question_on([Row(sale="t1"), Row(sale="t1"), Row()], tmp_path)

    with pytest.raises(UnknownSalesError, match=r"2 of 3 judged events .* such as 't1'"):
        count_known_sales(price_scorer(), question)
