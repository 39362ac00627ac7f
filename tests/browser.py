"""A page as Chromium shows it: what is to be read, what it complains of, what it asks for."""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from pydantic import BaseModel

TIMEOUT_S: Final = 120.0
_CONSOLE: Final = re.compile(r":CONSOLE:\d+\] (.*)")
_NOBODY: Final = "not an origin"  # asked by the browser for itself, not by the page

# Nothing is fetched: what the browser or the page asks for ends at a closed port.
_SWITCHES: Final = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--proxy-server=http://127.0.0.1:9",
    "--proxy-bypass-list=<-loopback>",
    "--enable-logging=stderr",
    "--dump-dom",
)


@dataclass(frozen=True)
class Look:
    """What a browser made of a page.

    Attributes:
        dom: The document after it was loaded, as HTML.
        console: Messages on its console.
        requests: Addresses that it asked for, its own file apart.
    """

    dom: str
    console: list[str]
    requests: list[str]


class _Asked(BaseModel):
    url: str = ""
    initiator: str = _NOBODY


class _Event(BaseModel):
    params: _Asked = _Asked()


class _NetLog(BaseModel):
    events: list[_Event]


def look(page: Path, folder: Path) -> Look:
    """Open a file in Chromium without a window, or skip the test where there is none.

    Args:
        page: The file.
        folder: For the browser's profile and logs; made when needed.
    """
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip("chromium is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    net_log = folder / "net.json"
    own = [f"--user-data-dir={folder / 'profile'}", f"--log-net-log={net_log}"]
    run = subprocess.run(
        [browser, *_SWITCHES, *own, page.resolve().as_uri()],
        check=True,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    return Look(
        dom=run.stdout,
        console=_CONSOLE.findall(run.stderr),
        requests=_by_the_page(json.loads(net_log.read_text(encoding="utf-8"))),
    )


def _by_the_page(log: object) -> list[str]:
    asked = (event.params for event in _NetLog.model_validate(log).events)
    return [one.url for one in asked if one.url and one.initiator != _NOBODY]
