"""POST /v1/events."""

import json
from datetime import UTC, datetime, timedelta

import httpx
import orjson
import pytest

from app.stores.keys import FORM, CustomerKeys, partition
from app.stores.store import Stores
from tests.shop import JSON

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


BEFORE = "before the store's clock"
AFTER = "after the store's clock"


def result(
    index: int,
    event_id: str | None,
    status: str,
    *,
    reason: str | None = None,
    detail: str | None = None,
) -> dict[str, object]:
    return {
        **{"index": index, "event_id": event_id, "status": status},
        **{"reason": reason, "detail": detail},
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
        "unavailable": 0,
        "unknown_sales": [],
        "results": [
            result(0, "e1", "accepted"),
            result(1, "e2", "rejected", reason="too_old", detail=f"at: more than 90 days {BEFORE}"),
            result(2, "e3", "rejected", reason="future", detail=f"at: more than 5 minutes {AFTER}"),
            result(3, "e1", "duplicate"),
        ],
    }


async def test_events_of_a_customer_whose_part_of_the_store_is_away_are_to_be_sent_again(
    client: httpx.AsyncClient, stores: Stores
) -> None:
    """Others of the batch are taken; where none is, the whole batch is 503."""
    window = CustomerKeys.for_customer("c1").window
    await stores.connection.execute("SET", window, "of another type", doing="breaking it")
    batch = [event("e1"), event("e2", customer_id="c2"), event("e3", type="like")]

    mixed = await client.post(URL, json={"events": batch})
    alone = await client.post(URL, json={"events": batch[:1]})
    await stores.connection.execute("DEL", window, doing="mending it")
    again = await client.post(URL, json={"events": batch[:2]})

    body = mixed.json()
    detail = f"{alone.json()['detail']}; send the event again"
    assert f"c:{FORM}:{{{partition('c1')}}}:…" in detail
    assert (mixed.status_code, body["accepted"], body["unavailable"]) == (200, 1, 1)
    assert body["results"][0] == result(
        0, "e1", "unavailable", reason="store_unavailable", detail=detail
    )
    assert [one["status"] for one in body["results"]] == ["unavailable", "accepted", "rejected"]
    assert (alone.status_code, alone.json()["code"]) == (503, "store_unavailable")
    assert [one["status"] for one in again.json()["results"]] == ["accepted", "duplicate"]


async def test_an_event_of_an_unknown_sale_is_kept_and_named(client: httpx.AsyncClient) -> None:
    """It may be of a sale that is loaded later: then it counts."""
    batch = [event("e1", sale_id="soon"), event("e2", sale_id="soon"), event("e3")]

    answer = await client.post(URL, json={"events": batch})

    assert (answer.json()["accepted"], answer.json()["unknown_sales"]) == (3, ["soon"])
    assert "vitrine_unknown_sale_events_total 2.0" in (await client.get("/metrics")).text


async def test_a_refund_without_a_purchase_is_taken_and_named(client: httpx.AsyncClient) -> None:
    bought = event("e1", type="purchase", quantity=2)
    back = [event(f"r{n}", type="refund", quantity=1) for n in range(3)]
    search = event("e2", type="search", sale_id=None)

    answer = await client.post(URL, json={"events": [bought, *back, search]})

    assert answer.json()["unknown_sales"] == []
    assert answer.json()["results"] == [
        result(0, "e1", "accepted"),
        result(1, "r0", "accepted"),
        result(2, "r1", "accepted"),
        result(3, "r2", "accepted", reason="no_purchase"),
        result(4, "e2", "accepted"),
    ]
    metrics = (await client.get("/metrics")).text
    assert 'vitrine_events_total{reason="no_purchase",status="accepted"} 1.0' in metrics


async def test_a_thousand_events_are_one_batch(client: httpx.AsyncClient) -> None:
    batch = [event(f"e{number}", customer_id=f"c{number % 7}") for number in range(1_000)]

    answer = await client.post(URL, json={"events": batch})

    assert answer.json()["accepted"] == 1_000


@pytest.mark.parametrize(
    ("batch", "location"),
    [
        ({"events": []}, "body.events"),
        ({"events": [event(f"e{number}") for number in range(1_001)]}, "body.events"),
        ({"events": event()}, "body.events"),
        ({"events": [event()], "more": True}, "body.more"),
        ([event()], "body"),
    ],
)
async def test_a_body_that_is_no_batch_is_refused_whole_and_the_fault_located(
    client: httpx.AsyncClient, batch: object, location: str
) -> None:
    answer = await client.post(URL, content=orjson.dumps(batch), headers=JSON)

    assert answer.status_code == 422
    assert [error["location"] for error in answer.json()["errors"]] == [location]


@pytest.mark.parametrize(
    ("malformed", "event_id", "detail"),
    [
        (event("x", type="like"), "x", "type: "),
        (event(sale_id=None), "e1", "event: sale_id is required of a view"),
        (event("x" * 129), None, "event_id: "),
        (event(""), None, "event_id: "),
        (event("a\nb"), None, "event_id: "),
        (event(customer_id="c1\r\nX: y"), "e1", "customer_id: "),
        (event(at="2026-01-01T00:00:00"), "e1", "at: "),
        (event(at=1_767_225_600), "e1", "at: "),
        (event(price="9"), "e1", "price: "),
        (event(position=3.5), "e1", "position: "),
        (event(colour="red"), "e1", "colour: "),
        ({}, None, "event_id: Field required; customer_id: Field required; type: "),
        (5, None, "event: "),
        (None, None, "event: "),
        ([event()], None, "event: "),
    ],
)
async def test_one_malformed_event_is_rejected_and_the_others_are_taken(
    client: httpx.AsyncClient, malformed: object, event_id: str | None, detail: str
) -> None:
    """A consumer that repeats a refused batch would repeat it without end."""
    batch = [event("first"), malformed, event("last")]

    answer = await client.post(URL, content=orjson.dumps({"events": batch}), headers=JSON)

    body = answer.json()
    assert (answer.status_code, body["accepted"], body["rejected"]) == (200, 2, 1)
    found = body["results"][1]
    assert str(found["detail"]).startswith(detail)
    expected = result(1, event_id, "rejected", reason="malformed", detail=found["detail"])
    assert found == expected
    assert [one["event_id"] for one in body["results"]] == ["first", event_id, "last"]
    metrics = (await client.get("/metrics")).text
    assert 'vitrine_events_total{reason="malformed",status="rejected"} 1.0' in metrics


async def test_half_an_emoji_in_an_id_costs_its_event_alone(client: httpx.AsyncClient) -> None:
    """JavaScript cuts texts between the halves of a character, and escapes what is left."""
    whole = event("e2", device="phone \U0001f4f1 \\ud83d")
    batch = [event("e1"), event("e3", device="CUT"), whole]
    body = json.dumps({"events": batch}).replace("CUT", r"phone \ud83d")

    answer = (await client.post(URL, content=body, headers=JSON)).json()

    assert [one["status"] for one in answer["results"]] == ["accepted", "rejected", "accepted"]
    assert answer["results"][1]["detail"].startswith("device: String should match pattern")


async def test_an_event_that_has_a_key_twice_is_rejected_alone(client: httpx.AsyncClient) -> None:
    """Which of the two sales was clicked is not known."""
    good, twice = json.dumps(event("e1")), json.dumps(event("e2"))
    batch = f'{{"events": [{good}, {twice[:-1]}, "sale_id": "rome"}}]}}'

    answer = (await client.post(URL, content=batch, headers=JSON)).json()
    whole = await client.post(URL, content=f'{{"events": [], "events": [{good}]}}', headers=JSON)

    assert answer["accepted"] == 1
    assert answer["results"][1]["detail"] == "sale_id twice: Extra inputs are not permitted"
    assert whole.status_code == 422
    assert "an object has the key 'events' twice" in whole.json()["detail"]


async def test_a_byte_order_mark_is_no_part_of_a_body(client: httpx.AsyncClient) -> None:
    body = json.dumps({"events": [event()]}).encode("utf-8-sig")

    assert (await client.post(URL, content=body, headers=JSON)).json()["accepted"] == 1


async def test_of_a_thousand_events_999_are_taken(client: httpx.AsyncClient) -> None:
    batch = [event(f"e{number}", customer_id=f"c{number % 7}") for number in range(1_000)]
    batch[500] = event("e500", type="like")

    answer = (await client.post(URL, json={"events": batch})).json()
    again = (await client.post(URL, json={"events": batch})).json()

    assert (answer["accepted"], answer["rejected"]) == (999, 1)
    assert (again["duplicate"], again["rejected"]) == (999, 1)


@pytest.mark.parametrize(
    "malformed",
    [
        {f"field {number}" * 9: number for number in range(20_000)},
        {"event_id": "e1", "\x1b" * 50_000: 1},
        {**event(), "type": "x" * 50_000},
        {**event(), "at": "9" * 50_000},
    ],
)
async def test_what_is_said_of_a_malformed_event_is_bounded(
    client: httpx.AsyncClient, malformed: dict[str, object]
) -> None:
    answer = await client.post(URL, json={"events": [malformed]})

    [found] = answer.json()["results"]
    assert found["reason"] == "malformed"
    assert len(found["detail"]) <= 400


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b'{"events": [}'])
async def test_what_is_no_json_is_malformed(client: httpx.AsyncClient, body: bytes) -> None:
    answer = await client.post(URL, content=body, headers=JSON)

    assert (answer.status_code, answer.json()["code"]) == (422, "malformed")


async def test_a_whole_number_may_be_written_with_a_fraction_of_zero(
    client: httpx.AsyncClient,
) -> None:
    """JSON knows one kind of number, and some clients write all of them as 3.0."""
    whole = await client.post(URL, json={"events": [event(position=3.0)]})

    assert whole.json()["accepted"] == 1
