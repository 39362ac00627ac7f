"""Verdicts of an A/B test, in words."""

from datetime import timedelta

from models.experiments.analysis.results import Results, experiment_results
from models.experiments.analysis.verdict import Outcome
from models.experiments.plan.experiment import Unit
from tests.trials import START, Answer, Did, events, exposures, two_arms

NAMES = ("control", "treatment")


def found(
    n: int,
    *,
    bought: tuple[int, int],
    lost: int = 0,
    hours: int = 24,
    degraded: str | None = None,
    largest: float = 100.0,
) -> Results:
    """Of ``n`` units a side, how many bought; of the treatment some are lost, or degraded.

    Each pays 100, but the first of the treatment.
    """
    sizes = dict(zip(NAMES, (n, n - lost), strict=True))
    answers = [
        Answer(unit=f"{name}-{i}", variant=name, degraded=degraded if name != "control" else None)
        for name, size in sizes.items()
        for i in range(size)
    ]
    did = [
        Did(unit=f"{name}-{i}", at=1, revenue=100.0 if i or name == "control" else largest)
        for name, k in zip(NAMES, bought, strict=True)
        for i in range(k)
    ]
    return experiment_results(
        two_arms(results={"window_hours": hours}),
        exposures(answers),
        unit=Unit.CUSTOMER,
        events=events(did),
        until=START + timedelta(days=2),
    )


def test_a_variant_that_sells_more_is_above_the_control() -> None:
    (one,) = found(1_000, bought=(300, 450)).verdicts

    assert one.outcome is Outcome.ABOVE
    assert one.text.startswith("The conversion of treatment is above that of control: +50.00% [")
    assert one.text.endswith("safe at every look; no guardrail is breached.")


def test_a_breached_guardrail_is_named() -> None:
    (one,) = found(1_000, bought=(450, 300), degraded="popular").verdicts

    assert one.outcome is Outcome.BELOW
    assert one.text.endswith("breached guardrails: degraded.")


def test_a_lift_over_four_buyers_is_to_be_read_with_care() -> None:
    """Sixty beside four buyers are +1400%, of which the size is known badly."""
    (one,) = found(1_000, bought=(4, 60)).verdicts

    assert one.outcome is Outcome.ABOVE
    assert "+1400.00%" in one.text
    assert one.text.endswith("Only 4 units of control bought: read the size of the lift with care.")


def test_beside_a_control_without_buyers_there_is_no_lift() -> None:
    (one,) = found(1_000, bought=(0, 60)).verdicts

    assert one.outcome is Outcome.ABOVE
    reason = "no lift, as that of control is not above 0 beyond chance"
    said = "The conversion of treatment is above that of control"
    assert one.text == f"{said}: {reason}; no guardrail is breached."


def test_too_few_purchases_decide_nothing() -> None:
    (one,) = found(1_000, bought=(3, 5)).verdicts

    assert one.outcome is Outcome.UNDECIDED
    assert one.text == "There are too few purchases to compare treatment with control."


def test_lost_units_are_an_alarm_that_stands_first() -> None:
    alarms = found(1_000, bought=(300, 300), lost=300).verdicts

    assert [one.outcome for one in alarms[:2]] == [Outcome.INVALID, Outcome.INVALID]
    assert alarms[0].text.startswith("ALARM: assigned units are not in the assigned shares.")


def test_one_order_that_outweighs_all_others_cannot_tell_of_revenue() -> None:
    """299 pay 100 and one pays 1e12: 99.999997% are of one customer."""
    first, second = found(1_000, bought=(300, 300), largest=1e12).verdicts

    assert first.outcome is second.outcome is Outcome.UNDECIDED
    said = "One customer has 100.0% of the revenue of treatment: revenue cannot tell."
    assert second.text == said


def test_before_any_window_is_over_it_says_why_nothing_is_known() -> None:
    (one,) = found(50, bought=(5, 5), hours=72).verdicts

    assert one.outcome is Outcome.NO_RESULTS
    reason = "The most frequent reason is: units with an open window."
    assert one.text == f"No unit could be analysed. {reason}"
