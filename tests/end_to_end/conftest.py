"""Fixtures of several end-to-end tests."""

from collections.abc import Generator

import pytest
from playwright.sync_api import Browser

from tests.visitor import chromium


@pytest.fixture(scope="module")
def browser() -> Generator[Browser]:
    """Chromium without a window."""
    with chromium() as browser:
        yield browser
