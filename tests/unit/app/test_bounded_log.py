"""Lines that callers can cause do not fill a disk, and nothing is left out in silence."""

import logging

import pytest
import structlog

from app.bounded_log import EVERY_S, MAX_KINDS, BoundedLog


@pytest.fixture
def lines() -> list[structlog.typing.EventDict]:
    return []


@pytest.fixture(autouse=True)
def captured(lines: list[structlog.typing.EventDict], monkeypatch: pytest.MonkeyPatch) -> None:
    def write(name: str) -> structlog.stdlib.BoundLogger:
        def keep(
            _logger: object, _method: str, line: structlog.typing.EventDict
        ) -> structlog.typing.EventDict:
            lines.append(line)
            raise structlog.DropEvent

        return structlog.wrap_logger(
            logging.getLogger(name), [keep], wrapper_class=structlog.stdlib.BoundLogger
        )

    monkeypatch.setattr("app.bounded_log.get_logger", write)


def test_a_kind_is_written_once_in_a_while_with_how_many_were_left_out(
    lines: list[structlog.typing.EventDict],
) -> None:
    now_s = 0.0
    log = BoundedLog("test", lambda: now_s)

    for _ in range(1_000):
        log.warning("refused", "k1", code="forbidden")
    now_s = EVERY_S
    log.warning("refused", "k1", code="forbidden")

    assert [line["left_out"] for line in lines] == [0, 999]
    assert {line["code"] for line in lines} == {"forbidden"}


def test_kinds_do_not_silence_each_other(lines: list[structlog.typing.EventDict]) -> None:
    log = BoundedLog("test", lambda: 0.0)

    for kind in ("k1", "k2", "k1", "k2"):
        log.warning("refused", kind)
    log.warning("dropped", "k1")

    assert [line["event"] for line in lines] == ["refused", "refused", "dropped"]


def test_however_many_kinds_there_are_the_lines_are_bounded(
    lines: list[structlog.typing.EventDict],
) -> None:
    log = BoundedLog("test", lambda: 0.0)

    for i in range(10 * MAX_KINDS):
        log.warning("refused", str(i))

    assert len(lines) == MAX_KINDS + 1


def test_kinds_that_went_quiet_make_room_and_what_they_left_out_is_still_reported(
    lines: list[structlog.typing.EventDict],
) -> None:
    now_s = 0.0
    log = BoundedLog("test", lambda: now_s)
    for i in range(2 * MAX_KINDS):
        log.warning("refused", str(i % MAX_KINDS))

    now_s, lines[:] = EVERY_S, []
    log.warning("refused", "new one")
    log.warning("refused", "new two")

    assert [line["left_out"] for line in lines] == [0, 0]
    for i in range(MAX_KINDS):
        log.warning("refused", f"later {i}")
    assert sum(line["left_out"] for line in lines) == MAX_KINDS
