"""Alerts and dashboard: by promtool, and by a real Prometheus that reads a real service."""

import json
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import yaml

from app.stores.embedded import embedded_server
from tests.end_to_end.service import http, serving
from tests.end_to_end.test_serve import answers_after_own_event, put_sales, wait_for_sales
from tests.proofs import ROOT

MONITORING: Final = ROOT / "deploy" / "monitoring"
SCRAPES: Final = 5
TIMEOUT_S: Final = 60.0
SILENT: Final = frozenset(
    {
        *("vitrine_answer_seconds", "vitrine_model_errors_total", "vitrine_shed_requests_total"),
        *("vitrine_task_outages_total", "vitrine_exploration_outcomes_total"),
        "vitrine_bundles_total",  # it was started with its bundle
    }
)
"""Metrics without a series in a healthy service without experiments."""


def alerts() -> Mapping[str, Mapping[str, Any]]:
    """The rules of all alerts by name."""
    groups = yaml.safe_load((MONITORING / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    return {rule["alert"]: rule for one in groups for rule in one["rules"] if "alert" in rule}


def dashboard() -> Mapping[str, Sequence[str]]:
    """The queries of each panel by its title."""
    panels = json.loads((MONITORING / "dashboard.json").read_text(encoding="utf-8"))["panels"]
    return {
        panel["title"]: [target["expr"] for target in panel["targets"]]
        for panel in panels
        if panel["type"] != "row"
    }


def documented(text: str) -> set[str]:
    """Metrics of docs/metrics.md that an expression asks for, without what Prometheus adds."""
    names = re.findall(r"\b(?:vitrine|process)_\w+", text)
    return {re.sub(r"_(total|count|bucket)$", "", name) for name in names}


def test_every_alert_has_a_runbook_that_says_what_to_do() -> None:
    page = (ROOT / "docs/runbooks.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## (\w+)\n\n(.+?)(?=\n## |\Z)", page, re.MULTILINE | re.DOTALL))

    assert sections.keys() == alerts().keys()
    for name, rule in alerts().items():
        assert rule["annotations"]["runbook"] == f"docs/runbooks.md#{name.lower()}"
        assert "**Do:**" in sections[name], name


def test_alerts_and_panels_ask_for_metrics_that_are_documented() -> None:
    page = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    known = documented(" ".join(re.findall(r"`((?:vitrine|process)_\w+)`", page)))
    asked = [rule["expr"] for rule in alerts().values()]
    asked += [query for queries in dashboard().values() for query in queries]

    assert documented(" ".join(asked)) <= known


@pytest.mark.prometheus
@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs prometheus")
@pytest.mark.parametrize(
    "command",
    [
        ("check", "config", "prometheus.yaml"),
        ("check", "rules", "alerts.yaml"),
        ("test", "rules", "alerts_test.yaml"),
    ],
    ids=" ".join,
)
def test_promtool_accepts_the_rules_and_their_tests(command: tuple[str, ...]) -> None:
    done = subprocess.run(
        [shutil.which("promtool") or "promtool", *command],
        cwd=MONITORING,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tested_to_fire_and_to_be_silent() -> None:
    tests = yaml.safe_load((MONITORING / "alerts_test.yaml").read_text(encoding="utf-8"))["tests"]
    cases = [case for one in tests for case in one["alert_rule_test"]]

    for is_fired in (True, False):
        names = {case["alertname"] for case in cases if bool(case.get("exp_alerts")) is is_fired}
        assert names == alerts().keys()


@dataclass(frozen=True)
class Prometheus:
    """A running Prometheus."""

    url: str

    def get(self, path: str, **parameters: str) -> Mapping[str, Any]:
        """Return the data of an answer of its API."""
        answer = http.get(f"{self.url}/api/v1/{path}", params=parameters).json()
        assert answer["status"] == "success", (parameters, answer)
        return answer["data"]

    def ask(self, query: str) -> list[Any]:
        """Return the series that a query finds."""
        return self.get("query", query=query)["result"]

    def wait_for_scrapes(self, n: int) -> None:
        """Return once the service was read so often."""
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            try:
                found = self.ask('count_over_time(up{job="vitrine"}[5m])')
                if found and int(found[0]["value"][1]) >= n:
                    return
            except (
                httpx.TransportError,
                AssertionError,
                json.JSONDecodeError,
            ):  # it has not loaded its data
                pass
            time.sleep(0.2)
        msg = f"no {n} scrapes"
        raise TimeoutError(msg)


@contextmanager
def prometheus(folder: Path, target: str) -> Generator[Prometheus]:
    """Run a Prometheus that reads a service every second, with the alerts."""
    config = yaml.safe_load((MONITORING / "prometheus.yaml").read_text(encoding="utf-8"))
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(MONITORING / "alerts.yaml")]
    config["scrape_configs"][0]["static_configs"] = [{"targets": [target]}]
    path = folder / "prometheus.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [
        *("prometheus", f"--config.file={path}", f"--storage.tsdb.path={folder / 'tsdb'}"),
        f"--web.listen-address={address}",
    ]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield Prometheus(f"http://{address}")
        finally:
            process.terminate()
            process.wait(TIMEOUT_S)


@pytest.mark.slow
@pytest.mark.prometheus
@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs prometheus")
def test_prometheus_reads_the_service_and_answers_every_panel(
    tmp_path: Path, tiny_bundle: tuple[Path, Path]
) -> None:
    options = ("--bundle", str(tiny_bundle[0]), "--workers", "2")
    with serving(tmp_path, *options) as service:
        service.wait_until("/health/ready", status=200)
        with embedded_server(tmp_path / "state") as store_url:
            put_sales(store_url)
        wait_for_sales(service.url)
        with prometheus(tmp_path, service.url.removeprefix("http://")) as reader:
            reader.wait_for_scrapes(1)
            answers_after_own_event(service.url, 20)
            reader.wait_for_scrapes(SCRAPES)
            queries = [query for each in dashboard().values() for query in each]
            found = {one: reader.ask(one.replace("$__rate_interval", "1m")) for one in queries}
            groups = reader.get("rules")["groups"]

    empty = {name for query, series in found.items() if not series for name in names_of(query)}
    assert empty <= SILENT
    rules = [rule for group in groups for rule in group["rules"]]
    assert {rule["health"] for rule in rules} == {"ok"}
    assert [rule["name"] for rule in rules if rule.get("state") == "firing"] == []


def names_of(query: str) -> set[str]:
    """Metrics of a query, a histogram by its own name."""
    return {re.sub(r"_(count|bucket)$", "", name) for name in re.findall(r"vitrine_\w+", query)}
