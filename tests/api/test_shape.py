"""Bodies of the largest size, whose faults a caller chose: what finding them costs."""

from collections import Counter

import httpx
import pytest

from app.api.catalogue import MAX_REASONS
from app.api.events import EventBatch
from app.api.rank import RankBody
from app.api.sales import SaleBody
from app.api.schema import shape
from app.api.schema.body import MAX_FAULTS, read
from app.api.schema.shape import MAX_VALUES, Fault
from models.experiments.plan.plan_edit import PlanDraft
from models.promotion.estimate import OffPolicyEstimate
from tests.shop import JSON, NDJSON

LARGEST = 4 * 1024 * 1024
MANY = 40_000


def unknown(n: int) -> str:
    return "{" + ",".join(f'"{number:x}":0' for number in range(n)) + "}"


def listed(value: str, n: int) -> str:
    return "[" + ",".join([value] * n) + "]"


LONG = "a" * (LARGEST - 100)
BODIES = {
    "/v1/rank": [
        unknown(420_000),
        unknown(MANY),
        '{"candidates":%}'.replace("%", listed("0", 2_000_000)),
        '{"candidates":%}'.replace("%", listed("0", MANY)),
        '{"candidates":["a"],"variant":%}'.replace("%", listed('"a:"', MANY)),
        "[" * LARGEST,
        '{"limit":%}'.replace("%", ("9" * (LARGEST - 100))),
        '{"%":0}'.replace("%", LONG),
        '{"candidates":["%"]}'.replace("%", LONG),
    ],
    "/v1/events": [
        '{"events":%}'.replace("%", listed("0", 2_000_000)),
        '{"events":%}'.replace("%", listed("{}", MANY)),
        unknown(MANY),
    ],
    "/v1/sales/s-1": [
        unknown(MANY),
        '{"attributes":%}'.replace("%", unknown(MANY)),
        '{"opens_at":"2026-01-01T00:00:00Z","attributes":{"terms":"%"}}'.replace("%", LONG),
        '{"opens_at":"2026-01-01T00:00:00Z","attributes":{"%":1}}'.replace("%", LONG),
    ],
    "/v1/experiments/plan": [
        '{"layers":%}'.replace("%", listed("{}", MANY // 2)),
        '{"experiments":[{"variants":%}]}'.replace("%", listed("0", MANY)),
    ],
    "/v1/promotions": [unknown(MANY), '{"rules":%}'.replace("%", unknown(MANY))],
    "/v1/bundles/active": [unknown(MANY)],
}
METHODS = {"/v1/rank": "POST", "/v1/events": "POST", "/v1/promotions": "POST"}


@pytest.mark.parametrize(
    ("path", "body"),
    [(path, body) for path, bodies in BODIES.items() for body in bodies],
    ids=lambda value: value[:30],
)
async def test_an_answer_names_the_first_hundred_faults_and_repeats_no_megabytes(
    client: httpx.AsyncClient, path: str, body: str
) -> None:
    answer = await client.request(METHODS.get(path, "PUT"), path, content=body, headers=JSON)

    assert len(body) <= LARGEST
    assert answer.status_code == 422
    assert 1 <= len(answer.json()["errors"]) <= MAX_FAULTS
    assert len(answer.content) < 30_000


@pytest.mark.parametrize(
    ("model", "body", "fault"),
    [
        (RankBody, unknown(MAX_VALUES + 1), Fault((), "more than 50000 values: send less at once")),
        (RankBody, unknown(101), Fault(("0",), "Extra inputs are not permitted")),
        (
            RankBody,
            '{"candidates":%}'.replace("%", listed("0", 1_001)),
            Fault(("candidates",), "1001 items: at most 1000 are allowed"),
        ),
        (
            SaleBody,
            '{"attributes":%}'.replace("%", unknown(101)),
            Fault(("attributes",), "101 fields: at most 100 are allowed"),
        ),
        (
            PlanDraft,
            '{"experiments":[{"policy":%}]}'.replace("%", unknown(101)),
            Fault(("experiments", 0, "policy"), "Extra inputs are not permitted"),
        ),
        (
            OffPolicyEstimate,
            '{"difference":%}'.replace("%", unknown(101)),
            Fault(("difference",), "101 fields: at most 20 are allowed"),
        ),
    ],
)
def test_what_is_too_much_is_named_before_it_is_validated(
    model: type[RankBody], body: str, fault: Fault
) -> None:
    faults = shape.shape_faults(model, body.encode(), most=100, judges_parts=False)

    assert faults[0] == fault
    assert len(faults) <= 100


def test_fields_are_looked_for_no_further_than_faults_are_named() -> None:
    faults = read(RankBody, unknown(MANY).encode())

    assert isinstance(faults, list)
    assert [fault.where for fault in faults] == [(f"{number:x}",) for number in range(MAX_FAULTS)]


def test_a_wrong_event_of_a_large_batch_is_no_fault_of_the_batch() -> None:
    body = '{"events":%}'.replace("%", listed('{"unknown":1}', 999))

    batch = read(EventBatch, body.encode(), judges_parts=True)

    assert isinstance(batch, EventBatch)
    assert len(batch.entries) == 999


async def test_every_line_of_sales_names_its_first_faults(client: httpx.AsyncClient) -> None:
    lines = "\n".join([unknown(1_000)] * 300)

    answer = await client.post("/v1/sales", content=lines, headers=NDJSON)

    reasons = Counter(result["reason"].count(";") + 1 for result in answer.json()["results"])
    assert reasons == {MAX_REASONS: 300}
