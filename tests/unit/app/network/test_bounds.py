"""Strangers: what a caller without a key may take of a worker."""

import asyncio
from dataclasses import replace

import pytest

from app.network.door import GRACE_S, network_of
from app.network.protocol import MAX_PIPELINED
from tests.unit.app.network.conftest import BOUNDS, Host, Wire, hosted

HALF = b"GET /health/live HTTP/1.1\r\nHost: shop\r\nX-Slow: "
WHOLE = b"GET /health/live HTTP/1.1\r\nHost: shop\r\n\r\n"
LAST = b"GET /last HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n"
POST = b"POST /v1/events HTTP/1.1\r\nHost: shop\r\nContent-Length: %d\r\n\r\n"


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0


async def endless(wire: Wire, chunk: bytes) -> int:
    """Send the same bytes until the other side has had enough; return how many it took."""
    n_bytes = 0
    try:
        while n_bytes < 50_000_000:
            wire.writer.write(chunk)
            n_bytes += len(chunk)
            await wire.writer.drain()
    except ConnectionError:
        pass
    return n_bytes


@pytest.mark.parametrize(
    ("head", "more", "code"),
    [
        (b"GET /", b"a" * 1_000, "url_too_long"),
        (HALF, b"a" * 1_000, "head_too_large"),
        (b"GET / HTTP/1.1\r\n", b"X-Many: 1\r\n" * 5, "head_too_large"),
        (
            b"POST / HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n5;",
            b"a" * 1_000,
            "head_too_large",
        ),
        (
            b"POST / HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
            b"X-Trailer: 1\r\n" * 5,
            "head_too_large",
        ),
    ],
    ids=["url", "value", "headers", "chunk extension", "trailers"],
)
async def test_a_head_without_an_end_is_refused_and_not_kept(
    host: Host, head: bytes, more: bytes, code: str
) -> None:
    wire = await host.connect()
    await wire.send(head)
    await wire.send(more, more, more, more, more)
    answer = await asyncio.wait_for(wire.reader.readuntil(b"}"), 30)
    await endless(wire, more)
    await host.until(lambda: not host.door.callers)

    assert status(answer) == {"url_too_long": 414, "head_too_large": 431}[code]
    assert b'"code":"%s"' % code.encode() in answer
    assert host.n_refused(code) == 1
    assert host.door.n_held_bytes == 0


@pytest.mark.parametrize(
    "head",
    [
        b"GET /%s HTTP/1.1\r\n\r\n" % (b"a" * 3_000),
        b"GET / HTTP/1.1\r\nX-Large: %s\r\n\r\n" % (b"a" * 3_000),
        b"GET / HTTP/1.1\r\n%s\r\n" % (b"X-Many: 1\r\n" * 21),
    ],
    ids=["url", "value", "headers"],
)
async def test_a_head_beyond_the_limits_is_refused_where_it_comes_at_once(
    host: Host, head: bytes
) -> None:
    assert status(await host.said(head)) in {414, 431}
    assert host.app.arrived == []


async def test_a_head_within_the_limits_is_taken(host: Host) -> None:
    headers = b"Host: shop\r\n" + b"X-Many: 1\r\n" * 18 + b"Connection: close\r\n"

    answer = await host.said(b"GET /%s HTTP/1.1\r\n%s\r\n" % (b"a" * 1_500, headers))

    assert status(answer) == 200


async def test_a_head_must_arrive_in_time_however_many_bytes_come_between(host: Host) -> None:
    wire = await host.connect()
    await wire.send(HALF)
    host.after(9)
    await wire.send(b"a")
    host.after(11)

    assert status(await wire.rest()) == 408
    assert host.n_refused("head_too_slow") == 1


async def test_blank_lines_are_no_sign_of_life(host: Host) -> None:
    wire = await host.connect()
    await wire.send(WHOLE, b"\r\n", b"\r\n")
    host.after(11)

    assert (await wire.rest()).count(b"HTTP/1.1 ") == 2
    assert host.n_refused("head_too_slow") == 1


async def test_a_connection_that_never_says_anything_is_closed_without_a_word(host: Host) -> None:
    wire = await host.connect()
    await host.until(lambda: len(host.door.callers) == 1)
    host.after(11)

    assert await wire.rest() == b""
    assert host.n_refused("head_too_slow") == 0


async def test_a_body_must_arrive_in_time_and_the_application_finds_the_caller_gone(
    host: Host,
) -> None:
    wire = await host.connect()
    await wire.send(POST % 5_000, b"half")
    host.after(29)
    await wire.send(b"more")
    host.after(31)

    assert status(await wire.rest()) == 408
    await host.until(lambda: len(host.app.gone) == 1)
    assert host.app.gone == [True]
    assert host.n_refused("body_too_slow") == 1


async def test_a_body_that_was_answered_before_it_came_must_arrive_in_time_too(host: Host) -> None:
    wire = await host.connect()
    await wire.send(b"POST /unread HTTP/1.1\r\nHost: shop\r\nContent-Length: 5000\r\n\r\n")
    await wire.send(b"half")
    host.after(31)

    # A second answer would be taken for that of the caller's next request.
    assert (await wire.rest()).count(b"HTTP/1.1 ") == 1
    assert host.n_refused("body_too_slow") == 1


async def test_no_more_is_received_of_a_body_than_any_may_have(host: Host) -> None:
    wire = await host.connect()
    await wire.send(b"POST /unread HTTP/1.1\r\nHost: shop\r\nContent-Length: 999999999999\r\n\r\n")
    await endless(wire, bytes(50_000))

    await host.until(lambda: not host.door.callers)
    assert host.door.n_held_bytes == 0


async def test_connections_of_one_address_are_bounded(host: Host) -> None:
    wires = [await host.connect() for _ in range(10)]
    await wires[-1].send(WHOLE)

    answer = await host.said(b"")

    assert status(answer) == 503
    assert b"retry-after: 1" in answer
    assert host.n_refused("too_many_connections") == 1


async def test_half_requests_give_way_the_oldest_first() -> None:
    async with hosted(replace(BOUNDS, connections=5)) as host:
        wires = [await host.connect() for _ in range(5)]
        for wire in wires:
            await wire.send(HALF)
        answers = [await host.said(LAST) for _ in range(2)]
        await wires[4].send(b"1\r\nConnection: close\r\n\r\n")

        assert [status(answer) for answer in answers] == [200, 200]
        assert await wires[0].rest() == b""
        assert status(await wires[4].rest()) == 200
        assert len(host.door.callers) <= 5
        assert host.n_refused("gave_way") == 1


async def test_half_bodies_and_idle_connections_give_way_in_this_order() -> None:
    async with hosted(replace(BOUNDS, connections=2)) as host:
        idle = await host.connect()
        await idle.send(WHOLE)
        half = await host.connect()
        await half.send(POST % 5_000, b"half")
        await asyncio.sleep(GRACE_S)
        first = await host.connect()
        await first.send(WHOLE)
        second = await host.connect()
        await second.send(WHOLE)

        assert await half.rest() == b""
        assert status(await first.reader.readuntil(b"}")) == 200
        assert status(await second.reader.readuntil(b"}")) == 200
        await idle.rest()
        assert host.n_refused("gave_way") == 2


async def test_a_connection_that_was_just_opened_does_not_give_way_to_the_next() -> None:
    async with hosted(replace(BOUNDS, connections=2)) as host:
        idle = await host.connect()
        await idle.send(WHOLE)
        first, second = await host.connect(), await host.connect()
        await first.send(LAST)

        assert status(await first.rest()) == 200
        assert status(await idle.rest()) in {0, 200}  # reset, what was answered before included
        await second.send(LAST)
        assert status(await second.rest()) == 200


async def test_who_is_being_answered_never_gives_way() -> None:
    async with hosted(replace(BOUNDS, connections=2)) as host:
        host.app.free.clear()
        asked = [await host.connect() for _ in range(2)]
        for wire in asked:
            await wire.send(LAST)

        assert status(await host.said(b"")) == 503
        host.app.free.set()
        assert [status(await wire.rest()) for wire in asked] == [200, 200]


async def test_bytes_of_requests_are_bounded_over_all_connections() -> None:
    async with hosted(replace(BOUNDS, held_bytes=150_000)) as host:
        host.app.free.clear()
        wires = [await host.connect() for _ in range(3)]
        for wire in wires:
            await wire.send(POST % 60_000, b"a" * 60_000)
        await host.until(lambda: host.n_refused("too_much_held") == 1)
        assert 120_000 < host.door.n_held_bytes <= 150_000
        host.app.free.set()

        assert status(await wires[0].reader.readuntil(b"\r\n")) == 200
        assert status(await wires[2].rest()) == 503
        await host.until(lambda: host.door.n_held_bytes == 0)


async def test_an_answer_that_is_not_read_is_given_up(host: Host) -> None:
    wire = await host.connect()
    await wire.send(b"GET /large HTTP/1.1\r\nHost: shop\r\n\r\n")
    await asyncio.sleep(0.1)
    host.after(31)

    await host.until(lambda: not host.door.callers)
    assert host.n_refused("answer_unread") == 1


async def test_an_answer_without_a_reader_says_so_to_the_application(host: Host) -> None:
    host.app.free.clear()
    wire = await host.connect()
    await wire.send(WHOLE)
    wire.writer.close()
    await host.until(lambda: not host.door.callers)
    host.app.free.set()

    await host.until(lambda: host.app.gone == [True])


def statuses(answers: bytes) -> list[int]:
    return [int(rest[:3]) for rest in answers.split(b"HTTP/1.1 ")[1:]]


@pytest.mark.parametrize("n_more", [1, 2, 50])
async def test_requests_beyond_a_bound_are_refused_once_those_before_are_answered(
    host: Host, n_more: int
) -> None:
    answers = await host.said(WHOLE * (MAX_PIPELINED + n_more))

    assert statuses(answers) == [200] * MAX_PIPELINED + [400]
    assert f"more than {MAX_PIPELINED} requests".encode() in answers
    assert host.n_refused("malformed_request") == 1
    await host.until(lambda: not host.door.n_held_bytes)


async def test_as_many_requests_as_may_wait_are_all_answered(host: Host) -> None:
    answers = await host.said(WHOLE * (MAX_PIPELINED - 1) + LAST)

    assert statuses(answers) == [200] * MAX_PIPELINED


@pytest.mark.parametrize(
    "last",
    [
        (b"nonsense\r\n\r\n",),
        (b"GET / HTTP/1.1\r\n\r\n",),
        (b"POST / HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",),
        (b"POST / HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n", b"zz\r\n"),
    ],
    ids=["line", "head", "body", "late body"],
)
async def test_a_fault_after_whole_requests_takes_no_answer_from_them(
    host: Host, last: tuple[bytes, ...]
) -> None:
    answers = await host.said(WHOLE * 3 + last[0], *last[1:])

    assert statuses(answers) == [200, 200, 200, 400]
    assert host.n_refused("malformed_request") == 1


async def test_a_connection_rests_between_two_requests(host: Host) -> None:
    wire = await host.connect()
    await wire.send(WHOLE)
    host.after(70)
    await wire.send(LAST)

    assert (await wire.rest()).count(b"HTTP/1.1 200") == 2


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3::4", "20010db800010002"),
        ("2001:db8:1:2:ffff::1", "20010db800010002"),
        ("socket", "socket"),
    ],
)
def test_the_callers_of_one_network_count_as_one_address(host: str, network: str) -> None:
    assert network_of(host) == network
