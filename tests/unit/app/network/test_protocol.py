"""The protocol's answers to bytes, before an application sees them."""

import json
import time

import pytest

from app.network.head import MAX_PARAMETERS
from tests.unit.app.network.conftest import Host

BODY = b'{"events": []}'
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
H2C = b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"


def answered(answer: bytes) -> list[dict[str, object]]:
    """The bodies of all answers on a connection, which are one line each."""
    found = [line[: line.rindex(b"}") + 1] for line in answer.split(b"\r\n") if line[:1] == b"{"]
    return [json.loads(line) for line in found]


@pytest.mark.parametrize("upgrade", [H2C, b"Upgrade: websocket\r\n", b"Upgrade: TLS/1.0\r\n"])
@pytest.mark.parametrize(
    "body",
    [(LENGTH, BODY), (b"Transfer-Encoding: chunked\r\n", b"e\r\n" + BODY + b"\r\n0\r\n\r\n")],
    ids=["length", "chunked"],
)
async def test_an_offer_to_upgrade_is_ignored_and_the_body_is_read(
    host: Host, upgrade: bytes, body: tuple[bytes, bytes]
) -> None:
    head = (
        b"POST /v1/events HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade, close, HTTP2-Settings\r\n"
    )

    whole = await host.said(head + upgrade + body[0] + b"\r\n" + body[1])
    in_parts = await host.said(head, upgrade + body[0] + b"\r\n", body[1])

    for answer in (whole, in_parts):
        assert answer.startswith(b"HTTP/1.1 200")
        assert [one["body"] for one in answered(answer)] == [BODY.decode()]
        assert {"upgrade", "http2-settings"}.isdisjoint(answered(answer)[0]["headers"])  # pyright: ignore[reportArgumentType] - a list of names


async def test_a_connection_goes_on_after_an_offer_that_was_ignored(host: Host) -> None:
    offer = b"POST /%d HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade\r\n" + H2C + LENGTH + b"\r\n"
    last = b"GET /last HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n"

    answer = await host.said(offer % 1 + BODY + offer % 2 + BODY + last)

    assert [one["path"] for one in answered(answer)] == ["/1", "/2", "/last"]


GET = b"GET /%s HTTP/1.1\r\nHost: shop\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: shop\r\n%s\r\n\r\n"


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/0.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        POST % b"Content-Length: 99999999999999999999999999",
        POST % b"Content-Length: -1",
        POST % b"Content-Length: 4\r\nContent-Length: 5",
        POST % b"Content-Length: 4\r\nTransfer-Encoding: chunked",
        POST % b"Transfer-Encoding: chunked" + b"zz\r\n",
        POST % b"Transfer-Encoding: chunked" + b"ffffffffffffffffff\r\n",
        POST % b"X-Split : value",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: shop\r\nHost: shop\r\n\r\n",
        b"GET / HTTP/1.0\r\nHost: shop\r\nHost: other\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: shop/other\r\n\r\n",
        GET % b"a\x00b",
        GET % b"a%00b",
        GET % b"?customer_id=\xe9",
        GET % b"?customer_id=%E9",
        GET % b"?customer_id=%C0%80",
        GET % b"?customer_id=%00",
    ],
)
async def test_what_is_no_request_is_a_problem_and_is_counted(
    host: Host, request_bytes: bytes
) -> None:
    answer = await host.said(request_bytes)

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"content-type: application/problem+json" in head
    assert json.loads(body)["code"] == "malformed_request"
    assert host.n_refused("malformed_request") == 1


async def test_text_of_any_language_is_taken(host: Host) -> None:
    answer = await host.said(
        GET.replace(b"Host", b"Connection: close\r\nHost") % b"%C3%A9%E2%82%AC?a=%2F%25"
    )

    assert answered(answer)[0]["path"] == "/é€"


async def test_a_request_is_stamped_when_its_head_is_there(host: Host) -> None:
    before = time.monotonic()
    await host.said(b"GET / HTTP/1.1\r\nHost: shop\r\n", b"Connection: close\r\n\r\n")
    after = time.monotonic()

    assert len(host.app.arrived) == 1
    assert before < host.app.arrived[0] < after


async def test_a_url_has_a_bounded_number_of_parameters(host: Host) -> None:
    answer = await host.said(GET % (b"?" + b"&" * MAX_PARAMETERS))

    assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "malformed_request"


@pytest.mark.parametrize("hosted_at", [b"", b"Host:\r\n", b"Host: [2001:db8::1]:8000\r\n"])
async def test_http_1_0_needs_no_host_and_any_host_is_taken(host: Host, hosted_at: bytes) -> None:
    answer = await host.said(b"GET /old HTTP/1.0\r\n" + hosted_at + b"\r\n")

    assert [one["path"] for one in answered(answer)] == ["/old"]


@pytest.mark.parametrize(
    ("expected", "status"), [(b"100-Continue", b"100"), (b"200-maybe", b"417"), (b"", b"417")]
)
async def test_nothing_but_an_interim_answer_can_be_expected(
    host: Host, expected: bytes, status: bytes
) -> None:
    head = b"POST / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\nExpect: %s\r\n"

    answer = await host.said(head % expected + LENGTH + b"\r\n", BODY)

    assert answer.split(b" ", 2)[1] == status
    assert host.n_refused("unknown_expectation") == (status == b"417")
