"""Choice of covers: exact propensities, which draws keep."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.covers.cover_choice import CoverPolicy, chosen_covers, cover_chances
from models.domain.customer import Window
from tests.builders import row
from tests.unit.models.covers.test_cover_model import MODEL, SHOP, clicks

EVEN = CoverPolicy(even_share=1.0)


def test_chances_mix_odds_and_an_even_draw() -> None:
    """Log-odds apart by 0.1 log 3 at a temperature of 0.1 are odds of 3 to 1."""
    log_odds = np.full((2, 9), -np.inf)
    log_odds[0, :2] = 0.1 * np.log(3.0), 0.0
    log_odds[1, :3] = 5.0

    found = cover_chances(log_odds, CoverPolicy(temperature=0.1, even_share=0.2))

    assert found[0].tolist() == pytest.approx([0.7, 0.3, *[0.0] * 7])
    assert found[1].tolist() == pytest.approx([1 / 3] * 3 + [0.0] * 6)


@given(
    st.lists(st.lists(st.floats(-50, 50), min_size=2, max_size=9), min_size=1, max_size=5),
    st.floats(0.001, 10),
    st.floats(0, 1),
)
def test_chances_sum_to_one_and_leave_no_picture_out(
    drawn: list[list[float]], temperature: float, even_share: float
) -> None:
    log_odds = np.full((len(drawn), 9), -np.inf)
    for place, one in enumerate(drawn):
        log_odds[place, : len(one)] = one

    found = cover_chances(log_odds, CoverPolicy(temperature=temperature, even_share=even_share))

    assert found.sum(axis=1) == pytest.approx(1.0)
    assert (found[np.isneginf(log_odds)] == 0).all()
    sizes = np.isfinite(log_odds).sum(axis=1)[:, None]
    assert (found >= np.where(np.isfinite(log_odds), even_share / sizes - 1e-12, 0)).all()


def test_each_picture_is_drawn_as_often_as_its_propensity_says() -> None:
    """By a thousand numbers at even distances, which each chance covers within one."""
    window, policy = clicks(("alps", 1)), CoverPolicy(temperature=1.0)
    drawn, alps = (np.arange(1_000) + 0.5) / 1_000, row(SHOP, "alps")

    found = chosen_covers(
        MODEL, policy, catalogue=SHOP, window=window, rows=[alps] * 1_000, drawn=drawn
    )

    for number in (1, 3):
        own = [one.propensity for one in found if one and one.number == number]
        assert len(own) == pytest.approx(1_000 * own[0], abs=1)
        assert len(set(own)) == 1
    assert sum({one.number: one.propensity for one in found if one}.values()) == pytest.approx(1)


def test_a_customer_is_shown_what_is_like_the_covers_that_they_clicked() -> None:
    model = replace(MODEL, common=np.zeros(3), liking=np.zeros(1))
    policy, rows = CoverPolicy(temperature=0.01, even_share=0.0), [row(SHOP, "rome")]

    def cover(*seen: tuple[str, int]) -> int:
        [one] = chosen_covers(
            model,
            policy,
            catalogue=SHOP,
            window=clicks(*seen),
            rows=rows,
            drawn=np.array([0.5]),
        )
        assert one is not None
        return one.number

    assert cover(("alps", 1)) == 4
    assert cover(("alps", 3)) == 2


@pytest.mark.parametrize("number", [2**-53, 1 - 2**-53])
def test_the_ends_of_the_numbers_draw_a_picture_too(number: float) -> None:
    rows = [row(SHOP, "alps")]

    [one] = chosen_covers(
        MODEL, EVEN, catalogue=SHOP, window=Window.empty(), rows=rows, drawn=np.array([number])
    )

    assert one is not None
    assert one.propensity == 0.5
    assert one.number == (1 if number < 0.5 else 3)


def test_sales_without_a_choice_have_no_chosen_cover() -> None:
    rows, window = [row(SHOP, "oslo"), row(SHOP, "rome")], Window.empty()

    found = chosen_covers(
        MODEL, EVEN, catalogue=SHOP, window=window, rows=rows, drawn=np.array([0.1, 0.9])
    )
    alone = chosen_covers(
        MODEL, EVEN, catalogue=SHOP, window=window, rows=rows[:1], drawn=np.array([0.1])
    )

    assert [one and one.number for one in found] == [None, 4]
    assert alone == [None]
