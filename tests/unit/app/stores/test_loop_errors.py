"""Errors of the event loop: TLS connections that were given up."""

import asyncio
import logging

import pytest
from structlog.testing import capture_logs

from app.stores.loop_errors import LoopErrors

CLOSED = "unable to perform operation on <TCPTransport closed=True>; the handler is closed"


async def test_tls_connections_that_were_given_up_are_one_line_without_a_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    handle, loop = LoopErrors().handle, asyncio.get_running_loop()
    context = {
        "message": "Fatal error on SSL protocol",
        "exception": RuntimeError(CLOSED),
    }

    with capture_logs() as lines:
        for _ in range(3):
            handle(loop, context)

    assert [(line["log_level"], line["reason"]) for line in lines] == [("warning", CLOSED)]
    assert caplog.records == []


@pytest.mark.parametrize(
    ("message", "reason"),
    [("Fatal error on SSL protocol", "unforeseen"), ("Task exception was never retrieved", CLOSED)],
)
async def test_any_other_error_of_the_loop_is_logged_with_its_traceback(
    caplog: pytest.LogCaptureFixture, message: str, reason: str
) -> None:
    context = {"message": message, "exception": RuntimeError(reason)}

    LoopErrors().handle(asyncio.get_running_loop(), context)

    [record] = caplog.records
    assert (record.name, record.levelno) == ("asyncio", logging.ERROR)
    assert reason in str(record.exc_info)
