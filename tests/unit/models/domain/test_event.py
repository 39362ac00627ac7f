"""Which events are accepted, what stands for an id, and exact times."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import ValidationError

from models.domain.event import (
    KIND,
    KINDS,
    MAX_AGE_US,
    MAX_AHEAD_US,
    Event,
    EventType,
    Refusal,
    accept,
    from_us,
    key,
    to_us,
)

RECEIVED_US = 1_741_608_000_000_000
PINNED = [
    16_476_032_584_258_269_876,
    9_917_286_856_640_899_412,
    5_749_497_827_174_772_229,
    17_322_607_777_553_455_322,
]
FIELDS: dict[str, object] = {
    "event_id": "e1",
    "customer_id": "c1",
    "type": "click",
    "sale_id": "s1",
    "at": "2025-03-10T12:00:00Z",
}


@pytest.mark.parametrize(
    ("at_us", "refusal"),
    [
        (RECEIVED_US, None),
        (RECEIVED_US + MAX_AHEAD_US, None),
        (RECEIVED_US + MAX_AHEAD_US + 1, Refusal.FUTURE),
        (RECEIVED_US - MAX_AGE_US, None),
        (RECEIVED_US - MAX_AGE_US - 1, Refusal.TOO_OLD),
    ],
)
def test_events_are_accepted_up_to_the_exact_microsecond(
    at_us: int, refusal: Refusal | None
) -> None:
    assert accept(at_us, RECEIVED_US) is refusal


def test_limits_are_five_minutes_ahead_and_ninety_days_back() -> None:
    limits = (timedelta(minutes=5), timedelta(days=90))

    assert tuple(t // timedelta(microseconds=1) for t in limits) == (MAX_AHEAD_US, MAX_AGE_US)


def test_keys_are_pinned() -> None:
    """Stores, windows and bundles hold keys: another hash would forget every customer."""
    assert [key(text) for text in ("", "s1", "hôtel", "a" * 128)] == PINNED


def test_codes_of_types_are_pinned() -> None:
    """Windows and counters store the code: another order would turn clicks into carts."""
    expected = [
        *("impression", "view", "click", "cart", "purchase"),
        *("favourite", "refund", "dislike", "search", "email_open"),
    ]

    assert [str(event_type) for event_type in KINDS] == expected
    assert [KIND[EventType(name)] for name in expected] == list(range(10))


@pytest.mark.parametrize("event_type", EventType)
def test_searches_and_opened_mails_need_no_sale(event_type: EventType) -> None:
    fields = {"event_id": "e1", "customer_id": "c1", "type": event_type, "at": "2025-03-10T12:00Z"}
    if event_type in {EventType.SEARCH, EventType.EMAIL_OPEN}:
        assert Event.model_validate(fields).sale_id is None
        return

    with pytest.raises(ValidationError, match=f"sale_id is required of a {event_type}"):
        Event.model_validate(fields)


@pytest.mark.parametrize(
    ("moment", "at_us"),
    [
        (datetime(1970, 1, 1, tzinfo=UTC), 0),
        (datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), -1),
        (datetime(1, 1, 1, tzinfo=UTC), -62_135_596_800_000_000),
        (datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), 253_402_300_799_999_999),
        (datetime(2025, 3, 10, 12, 0, 0, 1, tzinfo=UTC), 1_741_608_000_000_001),
    ],
)
def test_times_convert_exactly_both_ways(moment: datetime, at_us: int) -> None:
    """A float would round the last microseconds of such dates away."""
    assert to_us(moment) == at_us
    assert from_us(at_us) == moment


def test_one_moment_is_one_number_in_every_time_zone() -> None:
    moment = datetime(2025, 3, 10, 14, tzinfo=timezone(timedelta(hours=2)))

    assert to_us(moment) == 1_741_608_000_000_000


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(TypeError, match="offset-naive"):
        to_us(datetime(2025, 3, 10))


def test_an_event_needs_only_its_five_names() -> None:
    event = Event.model_validate(FIELDS)

    assert (event.type, to_us(event.at), event.market) == (EventType.CLICK, RECEIVED_US, None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("event_id", ""),
        ("customer_id", "c" * 129),
        ("sale_id", "s1\nforged"),
        ("sale_id", "s1\n"),
        ("customer_id", "c\x7f"),
        ("at", "2025-03-10T12:00:00"),
        ("type", "wish"),
        ("position", 0),
        ("price", -1.0),
        ("price", "inf"),
        ("revenue", "nan"),
        ("quantity", 0),
        ("propensity", 0.0),
        ("propensity", 1.5),
        ("colour", "red"),
    ],
)
def test_a_faulty_field_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ValidationError, match=name):
        Event.model_validate(FIELDS | {name: value})
