"""Purchases are credited to impressions, and few that are have a reason to look at the data."""

import pytest

from tests.logs import HOUR, Row, event_table, merged_log
from training.examples.credit import credited_share, if_few_credited


def row(kind: str, at: int, *, sale: str = "s1", customer: str = "c1") -> Row:
    return Row(kind=kind, at=at, sale=sale, customer=customer)


def test_the_share_counts_purchases_of_what_was_shown_before_them() -> None:
    """Two of one impression, one before it, one too late, one of another customer, one unshown."""
    log = [
        row("impression", 0),
        row("purchase", HOUR),
        row("purchase", 2 * HOUR),
        row("purchase", -2 * HOUR),
        row("purchase", 5 * HOUR),
        row("purchase", HOUR, customer="c2"),
        row("purchase", HOUR, sale="s2"),
    ]

    assert credited_share(event_table(log), outcome_us=3 * HOUR) == pytest.approx(2 / 6)


def test_what_a_guest_was_shown_and_the_customer_bought_is_credited() -> None:
    """They log in to pay: of the purchases that of the guest's customer alone is credited."""
    log = [
        row("impression", 0, customer="v1"),
        row("purchase", HOUR, customer="c1"),
        row("purchase", HOUR, customer="c2"),
    ]
    known = merged_log(log, [("v1", "c1", HOUR)])

    assert credited_share(known, outcome_us=3 * HOUR) == pytest.approx(1 / 2)


@pytest.mark.parametrize("kinds", [("impression", "view"), ("view", "purchase")])
def test_without_an_impression_or_a_purchase_there_is_no_share(kinds: tuple[str, str]) -> None:
    events = event_table([row(kind, at) for at, kind in enumerate(kinds)])

    assert credited_share(events, outcome_us=HOUR) is None
    assert not if_few_credited(events, outcome_us=HOUR)


@pytest.mark.parametrize(("n_before", "is_said"), [(1, False), (2, True)])
def test_fewer_than_half_are_said(n_before: int, is_said: bool) -> None:
    early = [row("purchase", -2 * HOUR - n) for n in range(n_before)]
    log = [*early, row("impression", 0), row("purchase", HOUR)]

    said = if_few_credited(event_table(log), outcome_us=24 * HOUR)

    assert ("33.3% of the purchases are credited to an impression" in said) == is_said
    assert ("at most 24 hours" in said) == is_said


def test_purchases_that_come_later_than_the_longest_time_are_said_with_their_delay() -> None:
    """Of four, three follow after 1, 2 and 5 hours, and one has no impression."""
    delays = {"c1": 1, "c2": 2, "c3": 5}
    log = [row("impression", 0, customer=one) for one in delays]
    log += [row("purchase", hours * HOUR, customer=one) for one, hours in delays.items()]

    said = if_few_credited(event_table([*log, row("purchase", 0, customer="c4")]), outcome_us=36)

    assert said.startswith("0.0% of the purchases")
    assert said.endswith(
        "75.0% have one at any time before, half of these 2 hours and more: `outcome_hours` is"
        " shorter"
    )


def test_purchases_that_never_follow_are_a_matter_of_times_and_ids() -> None:
    log = [row("impression", 0), row("purchase", -2 * HOUR)]

    said = if_few_credited(event_table(log), outcome_us=24 * HOUR)

    assert "before the purchase, and none after it: check the time zones of impressions" in said
