"""POST /v1/events."""

from datetime import UTC, datetime, timedelta

import httpx
import orjson
import pytest

URL = "/v1/events"


def event(event_id: str = "e1", **fields: object) -> dict[str, object]:
    return {
        "event_id": event_id,
        "customer_id": "c1",
        "type": "view",
        "sale_id": "alps",
        "at": datetime.now(UTC).isoformat(),
        **fields,
    }


async def test_each_event_gets_its_result_in_order(client: httpx.AsyncClient) -> None:
    now = datetime.now(UTC)
    old = event("e2", at=(now - timedelta(days=91)).isoformat())
    future = event("e3", at=(now + timedelta(minutes=6)).isoformat())
    first = event("e1")

    answer = await client.post(URL, json={"events": [first, old, future, first]})

    assert answer.status_code == 200
    assert answer.json() == {
        "accepted": 1,
        "duplicate": 1,
        "rejected": 2,
        "erased": 0,
        "unknown_sales": [],
        "results": [
            {"event_id": "e1", "status": "accepted", "reason": None},
            {"event_id": "e2", "status": "rejected", "reason": "too_old"},
            {"event_id": "e3", "status": "rejected", "reason": "future"},
            {"event_id": "e1", "status": "duplicate", "reason": None},
        ],
    }


async def test_an_event_of_an_unknown_sale_is_kept_and_named(client: httpx.AsyncClient) -> None:
    """It may be of a sale that is loaded later: then it counts."""
    batch = [event("e1", sale_id="soon"), event("e2", sale_id="soon"), event("e3")]

    answer = await client.post(URL, json={"events": batch})

    assert (answer.json()["accepted"], answer.json()["unknown_sales"]) == (3, ["soon"])
    assert "vitrine_unknown_sale_events_total 2.0" in (await client.get("/metrics")).text


async def test_a_thousand_events_are_one_batch(client: httpx.AsyncClient) -> None:
    batch = [event(f"e{number}", customer_id=f"c{number % 7}") for number in range(1_000)]

    answer = await client.post(URL, json={"events": batch})

    assert answer.json()["accepted"] == 1_000


@pytest.mark.parametrize(
    ("batch", "location"),
    [
        ({"events": []}, "body.events"),
        ({"events": [event(f"e{number}") for number in range(1_001)]}, "body.events"),
        ({"events": [event(type="like")]}, "body.events.0.type"),
        ({"events": [event("e1"), event("x" * 129)]}, "body.events.1.event_id"),
        ({"events": [event(customer_id="c1\r\nX: y")]}, "body.events.0.customer_id"),
        ({"events": [event(at="2026-01-01T00:00:00")]}, "body.events.0.at"),
        ({"events": [event(at=1_767_225_600)]}, "body.events.0.at"),
        ({"events": [event(price="9")]}, "body.events.0.price"),
        ({"events": [event(colour="red")]}, "body.events.0.colour"),
        ([event()], "body"),
    ],
)
async def test_a_malformed_batch_is_refused_whole_and_the_fault_located(
    client: httpx.AsyncClient, batch: object, location: str
) -> None:
    answer = await client.post(URL, content=orjson.dumps(batch))

    assert answer.status_code == 422
    assert [error["location"] for error in answer.json()["errors"]] == [location]
    repeated = await client.post(URL, json={"events": [event("e1")]})
    assert repeated.json()["accepted"] == 1


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b'{"events": [NaN]}'])
async def test_what_is_no_json_is_malformed(client: httpx.AsyncClient, body: bytes) -> None:
    answer = await client.post(URL, content=body)

    assert (answer.status_code, answer.json()["code"]) == (422, "malformed")


async def test_a_whole_number_may_be_written_with_a_fraction_of_zero(
    client: httpx.AsyncClient,
) -> None:
    """JSON knows one kind of number, and some clients write all of them as 3.0."""
    whole = await client.post(URL, json={"events": [event(position=3.0)]})
    broken = await client.post(URL, json={"events": [event(position=3.5)]})

    assert (whole.status_code, broken.status_code) == (200, 422)
