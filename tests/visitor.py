"""Visitor: a person at a page in Chromium, and everything that the browser or axe finds wrong."""

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Page,
    Request,
    expect,
    sync_playwright,
)
from pydantic import BaseModel

from tests.proofs import ROOT

PHONE: Final = (390, 844)
DESKTOP: Final = (1280, 900)
ARTEFACTS: Final = ROOT / "results/web"
# A page that waits for a service on a busy machine.
PATIENCE_MS: Final = 30_000


class _Node(BaseModel):
    html: str


class _Finding(BaseModel):
    id: str
    nodes: list[_Node]


class _Findings(BaseModel):
    violations: list[_Finding]


@dataclass
class Visitor:
    """A page, and what was wrong with it so far.

    Attributes:
        page: The page; its methods wait for what they act on.
        complaints: Errors and warnings of the console, and errors of scripts.
        foreign: Addresses of other origins that were asked.
    """

    page: Page
    origin: str
    complaints: list[str] = field(default_factory=list[str])
    foreign: list[str] = field(default_factory=list[str])

    def open(self, path: str) -> None:
        """Go to a page of the origin."""
        self.page.goto(self.origin + path)

    def violations(self) -> list[str]:
        """Return what axe finds: rule, and the first element that breaks it."""
        self.page.evaluate((files("axe_playwright_python") / "axe.min.js").read_text())
        found = _Findings.model_validate(self.page.evaluate("axe.run()"))
        return [f"{one.id}: {one.nodes[0].html[:200]}" for one in found.violations]

    def keep(self, name: str) -> Path:
        """Keep a picture of the whole page among the artefacts."""
        ARTEFACTS.mkdir(parents=True, exist_ok=True)
        path = ARTEFACTS / f"{name}.png"
        self.page.screenshot(path=path, full_page=True)
        return path

    def fits(self) -> bool:
        """Tell whether nothing is wider than the window, so that no one scrolls sideways."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


@contextmanager
def chromium() -> Generator[Browser]:
    """Start Chromium without a window, or skip the test where there is none."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


@contextmanager
def visiting(browser: Browser, origin: str, size: tuple[int, int] = DESKTOP) -> Generator[Visitor]:
    """Open a window of this size, with nothing remembered from another one."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        has_touch=size == PHONE,
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    visitor = Visitor(page, origin)

    def said(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            visitor.complaints.append(f"{message.text} ({message.location['url']})")

    def asked(request: Request) -> None:
        where = urlsplit(request.url)
        if where.scheme not in {"blob", "data"} and f"{where.scheme}://{where.netloc}" != origin:
            visitor.foreign.append(request.url)

    page.on("console", said)
    page.on("pageerror", lambda error: visitor.complaints.append(str(error)))
    page.on("request", asked)
    yield visitor
    context.close()
