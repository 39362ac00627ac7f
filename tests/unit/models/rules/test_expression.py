"""Rule expressions: what they match, and that everything else is refused with a reason."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.domain.customer import Window
from models.domain.event import PURCHASE, EventType, from_us
from models.domain.profile import Profile
from models.query.query import Context, Query
from models.rules.expression import MAX_CHARS, ExpressionError, read_expression
from models.rules.field import FieldScope, RuleField, Subject, column_of
from tests.builders import DAY_US, HOUR_US, NOW_US, catalogue, rows, sale, window

SHOP = catalogue(
    sale("alps", category="ski", price=400.0, original_price=500.0, attributes={"stars": 4.0}),
    sale("tyrol", category="ski", price=900.0, attributes={"stars": 5.0, "pool": True}),
    sale(
        "nice",
        category="beach",
        destination="Nice",
        attributes={"board type": "half board", "stars": "many", "pool": False},
    ),
    sale("last", price=50.0, opens_at=from_us(NOW_US - 3 * HOUR_US), closes_at=None),
)
IDS = ("alps", "tyrol", "nice", "last")


def subject(
    *seen: tuple[EventType, str, float],
    market: str | None = "fr",
    device: str | None = None,
    profile: Profile | None = None,
) -> Subject:
    return Subject(
        Query(
            window(*seen) if seen else Window.empty(),
            profile or Profile.empty(),
            SHOP,
            Context(NOW_US, market, device),
            rows(SHOP, *IDS),
        )
    )


def matched(text: str, of: Subject | None = None) -> set[str]:
    found = read_expression(text).matches(of or subject())
    return {
        one for one, is_found in zip(IDS, np.broadcast_to(found, len(IDS)), strict=True) if is_found
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('category == "ski"', {"alps", "tyrol"}),
        ('category == "ski" and price < 500', {"alps"}),
        ('not category == "ski"', {"nice", "last"}),
        ('category != "ski"', {"nice", "last"}),
        ('category in ["beach", "spa"] or price <= 50', {"nice", "last"}),
        ('category not in ["ski"]', {"nice", "last"}),
        ("100 < price <= 900", {"alps", "tyrol"}),
        ("500 > price", {"alps", "last"}),
        ("discount >= 0.19", {"alps"}),
        ("price > -1", {"alps", "tyrol", "last"}),  # a sale without a price is not more than any
        ("stars >= 4", {"alps", "tyrol"}),
        ('stars == "many"', {"nice"}),
        ('attribute["board type"] == "half board"', {"nice"}),
        ("pool", {"tyrol"}),
        ("not pool", {"alps", "nice", "last"}),
        ("pool == false", {"nice"}),
        ('sale_id in ["alps", "gone"]', {"alps"}),
        ("unheard_of == 1", set[str]()),
        ("hours_open > 2", {"last"}),
        ("hours_left < 25", {"alps", "tyrol", "nice"}),
        ('market == "FR" and category == "beach"', {"nice"}),
        ('market == "de"', set[str]()),
        ('device == "mobile"', set[str]()),
        ("hour == 12 and weekday == 1", set(IDS)),
        ("is_new", set(IDS)),
        ('customer["tier"] == "gold"', set[str]()),
    ],
)
def test_an_expression_matches_by_hand(text: str, expected: set[str]) -> None:
    """Noon of a Monday, a market and no device; a customer of whom nothing is known."""
    assert matched(text) == expected


def test_what_the_customer_did_is_as_old_as_the_last_time() -> None:
    of = subject(
        (EventType.PURCHASE, "alps", 2 * 86_400.0),
        (EventType.CLICK, "alps", 7_200.0),
        (EventType.CLICK, "alps", 3_600.0),
        (EventType.FAVOURITE, "tyrol", 86_400.0),
        (EventType.DISLIKE, "nice", 43_200.0),
        (EventType.IMPRESSION, "last", 1_800.0),
    )

    assert matched("days_since_purchase == 2", of) == {"alps"}
    assert matched("hours_since_click <= 1", of) == {"alps"}
    assert matched("hours_since_click < 1", of) == set()
    assert matched("days_since_favourite <= 1", of) == {"tyrol"}
    assert matched("days_since_dislike == 0.5", of) == {"nice"}
    assert matched("hours_since_shown == 0.5", of) == {"last"}
    assert matched("days_since_purchase > 1000", of) == {"tyrol", "nice", "last"}
    assert matched("is_new", of) == set()


def test_purchases_of_the_profile_count_from_the_end_of_their_day() -> None:
    """Bought ten days before noon: that day ended nine and a half days ago."""
    bought = Profile.from_events(
        np.array([PURCHASE]),
        np.array([NOW_US - 10 * DAY_US]),
        sale_keys=SHOP.keys[rows(SHOP, "tyrol")],
        undone=np.zeros(1, dtype=np.bool_),
        attributes={"tier": "gold"},
        night_us=NOW_US,
    )
    of = subject(profile=bought)

    assert matched("days_since_purchase == 9.5", of) == {"tyrol"}
    assert matched('customer["tier"] == "gold"', of) == set(IDS)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("category = 'ski'", "is no expression at character"),
        ("price <", "is no expression"),
        ("", "is no expression"),
        ("(" * 300, "is no expression"),
        ("__import__('os').system('true')", "is no condition"),
        ("price + 1 < 3", "compares two values"),
        ("price < original_price", "'original_price' is no value"),
        ("category == cruise", "'cruise' is no value: .* in quotes, as \"cruise\""),
        ("1 < 2", "compares two values"),
        ("price == 'cheap'", "price is compared with a number"),
        ("category == 3", "category is compared with a text"),
        ("category < 'ski'", "texts are compared with"),
        ("category in 'ski'", "followed by a list"),
        ("price == [1]", "only 'in' compares with a list"),
        ("category is 'ski'", "'is' is not read"),
        ("price < 1e999", "too large"),
        ("price < 10 ** 9", "is no value"),
        ("category == f'{price}'", "is no value"),
        ("other['x'] == 1", "fields are names"),
        ("category", "category is compared with a text"),
        ("lambda: 1", "is no condition"),
        ("true", "fields are names"),
        ("not " * 12 + "pool", "more than 10 deep"),
        (" or ".join(["pool"] * 51), "51 comparisons"),
        ("x" * (MAX_CHARS + 1), "at most 1,000 characters"),
        ("\0", "is no expression"),
        ('destination in ["Crete" "Rome", "Annecy"]', 'a comma is missing in front of "Rome"'),
        ('category == "ski" # and price < 500', "is a comment"),
        ("price < 0x10", "in digits"),
        ("price < 1_000", "in digits"),
        ("weekday == 8", "a whole number from 1 to 7"),
        ("hour in [9, 24]", "a whole number from 0 to 23"),
        ("hour < 9.5", "a whole number from 0 to 23"),
        ("is_new == 2", "a whole number from 0 to 1"),
        ("\ufb01rst == 1", "as attribute['\ufb01rst']"),
    ],
)
def test_anything_else_is_refused_with_a_reason(text: str, reason: str) -> None:
    with pytest.raises(ExpressionError, match=reason.replace("[", r"\[")):
        read_expression(text)


@given(st.text(st.sampled_from("price<>=!()[]'\"andornti 0123456789.\\\n_,:-+*"), max_size=80))
def test_no_text_does_anything_but_be_read_or_refused(text: str) -> None:
    try:
        condition = read_expression(text)
    except ExpressionError:
        return
    found = condition.matches(subject())
    assert found.dtype == np.bool_
    assert len(found) in {1, len(IDS)}


def test_columns_of_a_catalogue_are_kept_and_those_of_names_that_no_sale_has_are_not() -> None:
    stars = RuleField("stars", FieldScope.SALE, is_attribute=True)
    made_up = RuleField("made_up", FieldScope.SALE, is_attribute=True)

    assert column_of(SHOP, stars) is column_of(SHOP, stars)
    assert column_of(SHOP, made_up) is not column_of(SHOP, made_up)
    unknown = column_of(SHOP, made_up)
    assert not unknown.code
    assert np.isnan(unknown.numbers).all()
