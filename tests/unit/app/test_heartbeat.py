"""Heartbeats of a worker, read by its parent over a real pipe."""

from collections.abc import Generator

import pytest

from app.heartbeat import HeartbeatReceiver, HeartbeatSender, pipe

Ends = tuple[HeartbeatSender, HeartbeatReceiver]


@pytest.fixture
def ends() -> Generator[Ends]:
    reader, writer = pipe()
    yield HeartbeatSender(writer), HeartbeatReceiver(reader)
    reader.close()
    writer.close()


def test_no_beat_is_awaited_before_the_first_one(ends: Ends) -> None:
    _, pulse = ends

    pulse.listen(100.0)

    assert (pulse.is_awaited, pulse.silent_s) == (False, 0.0)


def test_silence_adds_up_until_the_next_beat(ends: Ends) -> None:
    heart, pulse = ends
    heart.beat()
    pulse.listen(1.0)

    pulse.listen(1.5)
    pulse.listen(2.0)
    silent_s = pulse.silent_s
    heart.beat()
    heart.beat()
    pulse.listen(1.0)

    assert silent_s == 3.5
    assert (pulse.is_awaited, pulse.silent_s) == (True, 0.0)


def test_a_worker_that_stops_is_not_awaited_any_more(ends: Ends) -> None:
    heart, pulse = ends
    heart.beat()
    pulse.listen(1.0)
    heart.stop()

    for _ in range(3):
        pulse.listen(100.0)

    assert (pulse.is_awaited, pulse.silent_s) == (False, 0.0)


def test_a_worker_waits_for_no_parent_that_does_not_listen(ends: Ends) -> None:
    heart, pulse = ends

    for _ in range(100_000):  # a pipe holds 65,536
        heart.beat()
    pulse.listen(1.0)

    assert pulse.silent_s == 0.0
