"""Outbox: events stay until they are answered, and none blocks the others."""

import pytest

from deploy.client.vitrine_client.answers import Event, EventResult
from deploy.client.vitrine_client.outbox import BATCH, Outbox


def event(event_id: str) -> Event:
    return {"event_id": event_id, "customer_id": "c1", "type": "click", "sale_id": "s1"}


def outbox(*event_ids: str, limit: int = 10) -> Outbox:
    made = Outbox(limit)
    for event_id in event_ids:
        made.add(event(event_id))
    return made


def result(index: int, event_id: str, status: str) -> EventResult:
    return EventResult(index=index, event_id=event_id, status=status, reason=None, detail=None)  # pyright: ignore[reportArgumentType] - one of five texts


def ids(box: Outbox) -> list[str | None]:
    return [one.get("event_id") for one in box.batch()]


def test_an_event_gets_an_id_and_a_time() -> None:
    box = Outbox(10)
    event_id = box.add({"customer_id": "c1", "type": "click", "sale_id": "s1"})

    (only,) = box.batch()
    assert only.get("event_id") == event_id
    assert str(only.get("at")).endswith("+00:00")


@pytest.mark.parametrize("status", ["accepted", "duplicate", "erased"])
def test_an_answered_event_goes(status: str) -> None:
    box = outbox("e1", "e2")
    wait_s = box.answered(box.batch()[:1], [result(0, "e1", status)])

    assert (ids(box), wait_s, box.dropped) == (["e2"], 0.0, 0)


def test_an_unavailable_event_goes_behind_the_others() -> None:
    box = outbox("e1", "e2", "e3")
    batch = box.batch()[:2]
    wait_s = box.answered(batch, [result(0, "e1", "unavailable"), result(1, "e2", "accepted")])

    assert ids(box) == ["e3", "e1"]
    assert 1.0 <= wait_s <= 2.0  # twice a second, and up to half of it less


def test_a_rejected_event_is_given_up_and_counted() -> None:
    box = outbox("e1")
    box.answered(box.batch(), [result(0, "e1", "rejected")])

    assert (len(box), box.dropped) == (0, 1)


@pytest.mark.parametrize(("status", "waits"), [(0, 2), (503, 2), (429, 2), (401, 2), (422, 0)])
def test_only_a_batch_that_will_never_be_taken_is_given_up(status: int, waits: int) -> None:
    box = outbox("e1", "e2")
    wait_s = box.refused(box.batch(), status, "")

    assert (len(box), box.dropped) == (waits, 2 - waits)
    assert (wait_s > 0) == (waits > 0)


def test_waits_double_up_to_half_a_minute() -> None:
    box = outbox("e1")
    waits = [box.refused(box.batch(), 503, "") for _ in range(8)]

    for number, wait_s in enumerate(waits, start=1):
        longest = min(30.0, 2.0**number)
        assert longest / 2 <= wait_s <= longest


def test_beyond_the_limit_the_oldest_goes() -> None:
    box = outbox("e1", "e2", "e3", limit=2)

    assert (ids(box), box.dropped) == (["e2", "e3"], 1)


def test_a_batch_is_bounded() -> None:
    box = outbox(*(f"e{number}" for number in range(BATCH + 1)), limit=1_000)

    assert len(box.batch()) == BATCH
