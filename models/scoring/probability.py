"""Meaning of the probabilities of a bundle: the event that they are of."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class ProbabilityOf(StrEnum):
    """The event that a probability is of, by the objective and by what a shop logs."""

    SHOWN_FIRST = "shown_at_position_1"
    SHOWN = "shown"
    LISTED = "shown_in_the_callers_list"
    VISIT = "visit"
    CLICKED_FIRST = "click_shown_at_position_1"
    CLICKED = "click_shown"
    CLICKED_LISTED = "click_shown_in_the_callers_list"
    CLICK_VISIT = "click_visit"


MEANINGS: Final[Mapping[ProbabilityOf, str]] = {
    ProbabilityOf.SHOWN_FIRST: "the customer buys the sale if it is shown now at position 1",
    ProbabilityOf.SHOWN: "the customer buys the sale if it is shown now; positions are not logged",
    ProbabilityOf.LISTED: "the customer buys the sale if it is shown now at its rank in the list",
    ProbabilityOf.VISIT: "the customer buys the sale in this visit; impressions are not logged",
    ProbabilityOf.CLICKED_FIRST: "the customer clicks or buys the sale if it is shown now at "
    "position 1",
    ProbabilityOf.CLICKED: "the customer clicks or buys the sale if it is shown now; positions "
    "are not logged",
    ProbabilityOf.CLICKED_LISTED: "the customer clicks or buys the sale if it is shown now at its "
    "rank in the list",
    ProbabilityOf.CLICK_VISIT: "the customer clicks or buys the sale in this visit; impressions "
    "are not logged",
}
"""Each as a sentence."""
