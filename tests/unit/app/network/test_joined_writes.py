"""Head and body of an answer, written at once."""

import asyncio
from dataclasses import dataclass, field

import pytest

from app.network.joined_writes import JoinedWrites
from tests.unit.app.network.conftest import Host

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@dataclass
class Written(asyncio.Transport):
    """A connection that keeps what is written to it."""

    parts: list[bytes] = field(default_factory=list[bytes])
    is_closed: bool = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.parts.append(bytes(data))

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed


def test_the_head_is_written_with_the_first_part_of_the_body() -> None:
    below = Written()
    answer = JoinedWrites(below, lambda: True)

    for part in (b"head ", b"first ", b"second"):
        answer.write(part)

    assert below.parts == [b"head first ", b"second"]


def test_what_comes_before_an_answer_is_not_kept() -> None:
    begun: list[bool] = []
    below = Written()
    answer = JoinedWrites(below, lambda: bool(begun))

    answer.write(CONTINUE)
    begun.append(True)
    answer.write(b"head ")
    answer.write(b"")

    assert below.parts == [CONTINUE, b"head "]


@pytest.mark.parametrize("parts", [(b"head",), (b"head", b""), ()])
def test_a_connection_that_is_closed_has_written_the_head(parts: tuple[bytes, ...]) -> None:
    below = Written()
    answer = JoinedWrites(below, lambda: True)

    for part in parts:
        answer.write(part)
    answer.close()

    assert b"".join(below.parts) == b"".join(parts)
    assert below.is_closed
    assert answer.is_closing()


async def test_an_answer_without_a_body_has_a_head(host: Host) -> None:
    head = b"HEAD /x HTTP/1.1\r\nHost: shop\r\n\r\n"
    last = b"GET /last HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n"

    answer = await host.said(head, last)

    assert answer.count(b"HTTP/1.1 200 OK") == 2
