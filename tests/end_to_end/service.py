"""A real service process, called over a real socket."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.proofs import ROOT

START_TIMEOUT_S = 120.0  # machines that run tests are busy
STOP_TIMEOUT_S = 60.0
IMAGE = {"PYTHONPATH": str(ROOT / "tests/end_to_end/service_image")}
# Each request by a connection of its own, which any worker may accept. One client for all: each
# `httpx.get` reads the certificates of the machine anew, which took 33 ms of CPU time (2026-11-29).
http = httpx.Client(timeout=30.0, limits=httpx.Limits(max_keepalive_connections=0))
INHERITED = ("PATH", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS")


@dataclass
class Service:
    """A running `python -m app serve`."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        """Where it listens, as its log says."""
        found = re.search(r'"url": "([^"]+)"', self.log.read_text())
        assert found is not None, self.log.read_text()
        return found[1]

    def stop(self) -> int:
        """Ask it to stop, as an orchestrator does; return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_TIMEOUT_S)

    def wait_until(self, path: str, *, status: int) -> httpx.Response:
        """Return the first answer of this status."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log.read_text()
            try:
                answer = http.get(self.url + path, timeout=5.0)
                if answer.status_code == status:
                    return answer
            except (httpx.TransportError, AssertionError):
                pass
            time.sleep(0.05)
        msg = f"no {status} from {path}: {self.log.read_text()}"
        raise TimeoutError(msg)


def run(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run ``python -m`` with these settings and no others."""
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    image = IMAGE if command[0] == "app" else {}
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        env=inherited | image | variables,
    )


@contextmanager
def serving(
    folder: Path, *options: str, program: Sequence[str] = ("app",), **variables: str
) -> Generator[Service]:
    """Run the service on a free port while the block runs.

    Args:
        folder: Of its log, and of its state unless a variable names another.
        options: Of `serve`.
        program: The module that is run, and its arguments before `serve`.
        variables: Settings.
    """
    log = folder / "service.log"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("VITRINE_")},
        **IMAGE,
        "VITRINE_STATE_DIR": str(folder / "state"),
        "VITRINE_DRAIN_S": "0.5",
        # Most tests expect the order of the model.
        "VITRINE_EXPLORED_SHARE": "0",
        "VITRINE_READ_TIMEOUT_MS": "5000",
        "VITRINE_DEADLINE_MS": "10000",
        **variables,
    }
    command = [sys.executable, "-m", *program, "serve", "--port", "0", *options]
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=output, stderr=output
        ) as process,
    ):
        try:
            yield Service(process, log)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(STOP_TIMEOUT_S)


@contextmanager
def serving_shop(folder: Path, shop: tuple[Path, Path], **variables: str) -> Generator[Service]:
    """Load a dataset into a store of its own, and serve it by a bundle until the block ends.

    Args:
        folder: Of the store's state and the log.
        shop: The bundle, which lies among other bundles, and the dataset.
        variables: Further settings, or others than those of `shop_settings`.
    """
    bundle, data = shop
    own = shop_settings(folder, bundle) | variables
    loaded = run("app", "load", "--data", str(data), **own)
    assert loaded.returncode == 0, loaded.stderr
    with serving(folder, **own) as service:
        service.wait_until("/health/ready", status=200)
        yield service


def shop_settings(folder: Path, bundle: Path) -> dict[str, str]:
    """Return settings by which all commands share the store of a folder, and a bundle."""
    return {
        "VITRINE_STATE_DIR": str(folder / "state"),
        "VITRINE_BUNDLES": str(bundle.parent),
        "VITRINE_BUNDLE": bundle.name,
    }
