"""The plan and promotions from a terminal, over a real store."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest
from typer.testing import CliRunner, Result

from app.__main__ import commands
from app.stores.bundle import WorkerReport
from app.stores.promotion import StoredPromotion
from app.stores.store import Stores
from tests.plans import LAYER, terms, written
from tests.promotions import begun

T = TypeVar("T")


@pytest.fixture
def url(embedded_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """An empty store, which the settings name."""
    monkeypatch.setenv("VITRINE_REDIS_URL", embedded_url)
    monkeypatch.setenv("VITRINE_BUNDLES", str(tmp_path))
    monkeypatch.setenv("VITRINE_BUNDLE", "b1")
    in_store(embedded_url, lambda stores: stores.connection.execute("FLUSHALL", doing="emptying"))
    return embedded_url


def in_store(url: str, ask: Callable[[Stores], Awaitable[T]]) -> T:
    async def asked() -> T:
        stores = Stores.open(url)
        try:
            return await ask(stores)
        finally:
            await stores.server.close()

    return asyncio.run(asked())


def run(*arguments: str) -> Result:
    return CliRunner().invoke(commands, [*arguments])


def test_a_file_is_applied_once_and_named_in_the_audit_trail(url: str, tmp_path: Path) -> None:
    file = written(tmp_path)

    first, second = run("plan", "apply", str(file)), run("plan", "apply", str(file))
    trail = in_store(url, lambda stores: stores.plans.audit(10))

    assert (first.exit_code, second.exit_code) == (0, 0), first.output + second.output
    assert "experiment order, control: – → popularity" in first.stdout
    assert (first.stderr, second.stderr) == ("version 0 → 1\n", "version 1 → 1\n")
    assert second.stdout == "nothing to change\n"
    assert [one.who for one in trail] == ["plan apply written-plan.json"]


@pytest.mark.usefixtures("url")
def test_what_is_shown_can_be_applied(tmp_path: Path) -> None:
    run("plan", "apply", str(written(tmp_path)))

    shown = run("plan", "show")
    (tmp_path / "shown.yaml").write_text(shown.stdout)
    again = run("plan", "apply", str(tmp_path / "shown.yaml"))
    as_json = json.loads(run("plan", "show", "--json").stdout)

    assert shown.stdout.startswith("# version 1\n")
    assert again.stdout == "nothing to change\n"
    assert (as_json["version"], as_json["plan"]["layers"]) == (1, [LAYER])


def test_a_dry_run_says_what_would_change_and_changes_nothing(url: str, tmp_path: Path) -> None:
    previewed = run("plan", "apply", str(written(tmp_path)), "--dry-run", "--json")

    printed = json.loads(previewed.stdout)
    assert (printed["before"], printed["version"]) == (0, 0)
    assert "layer home: – → " in "\n".join(printed["changes"])
    assert in_store(url, lambda stores: stores.plans.version()) == 0


@pytest.mark.parametrize("option", [[], ["--dry-run"]])
def test_a_plan_that_contradicts_itself_is_refused_as_a_whole(
    url: str, tmp_path: Path, option: list[str]
) -> None:
    bad = {"layers": [LAYER], "experiments": [{"name": "order", **terms(layer="elsewhere")}]}
    (tmp_path / "bad.json").write_text(json.dumps(bad))

    refused = run("plan", "apply", str(tmp_path / "bad.json"), *option)

    assert refused.exit_code == 1
    assert "in layer 'elsewhere', which the plan lacks" in refused.stderr
    assert in_store(url, lambda stores: stores.plans.version()) == 0


@pytest.mark.usefixtures("url")
def test_a_variant_whose_bundle_is_not_here_is_refused(tmp_path: Path) -> None:
    variants = [{"name": "popularity", "share_bp": 10_000, "policy": {"bundle": "b9"}}]
    bad = {"layers": [LAYER], "experiments": [{"name": "order", **terms(variants=variants)}]}
    (tmp_path / "bad.json").write_text(json.dumps(bad))

    refused = run("plan", "apply", str(tmp_path / "bad.json"))

    assert refused.exit_code == 1
    assert "no bundle 'b9'" in refused.stderr


@pytest.mark.usefixtures("url")
def test_a_file_that_means_an_earlier_version_is_refused(tmp_path: Path) -> None:
    run("plan", "apply", str(written(tmp_path)))
    other = written(tmp_path, popularity_bp=1_000)

    refused = run("plan", "apply", str(other), "--version", "0")

    assert refused.exit_code == 1
    assert "version 1 and version 0 was to be changed" in refused.stderr


def test_a_promotion_is_shown_given_its_estimate_and_stopped(url: str, tmp_path: Path) -> None:
    in_store(
        url,
        lambda stores: stores.promotions.change(StoredPromotion(1, begun()), before=0, begins=True),
    )
    (tmp_path / "estimate.json").write_text('{"bundle": "b2", "refusal": "no support"}')

    shown = run("promotion", "show")
    handed = run("promotion", "estimate", str(tmp_path / "estimate.json"), "--json")
    stopped = run("promotion", "stop", "--reason", "wrong prices")

    assert "promotion 1: bundle b2, shadow" in shown.stdout
    assert json.loads(handed.stdout)["estimate"]["refusal"] == "no support"
    assert "stopped: wrong prices  (promotion command)" in stopped.stdout


@pytest.mark.usefixtures("url")
def test_what_cannot_be_said_of_promotions_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text("canary: {shares_bp: [200, 100]}")

    none_yet = run("promotion", "show")
    no_exports = run("promotion", "begin", "b2")
    malformed = run("promotion", "begin", "b2", "--rules", str(tmp_path / "rules.yaml"))

    assert [one.exit_code for one in (none_yet, no_exports, malformed)] == [1, 1, 1]
    assert "there was no promotion yet" in none_yet.stderr
    assert "set VITRINE_EXPORTS" in no_exports.stderr
    assert "shares of the canary must rise, got 200, 100" in malformed.stderr


@pytest.mark.usefixtures("url")
def test_stdout_has_no_line_of_the_log(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_bundle: tuple[Path, Path]
) -> None:
    bundle = tiny_bundle[0]
    monkeypatch.setenv("VITRINE_BUNDLES", str(bundle.parent))
    monkeypatch.setenv("VITRINE_BUNDLE", bundle.name)
    monkeypatch.setenv("VITRINE_EXPORTS", str(tmp_path))

    refused = run("promotion", "begin", bundle.name, "--json")

    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "it is the active bundle already" in refused.stderr


def test_the_serving_bundle_is_the_one_that_workers_report(
    url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_bundle: tuple[Path, Path]
) -> None:
    newest = tiny_bundle[0]
    monkeypatch.setenv("VITRINE_BUNDLES", str(newest.parent))
    monkeypatch.setenv("VITRINE_BUNDLE", newest.name)
    monkeypatch.setenv("VITRINE_EXPORTS", str(tmp_path))
    in_store(url, lambda stores: stores.bundles.report(serving("w1", "b1")))

    begun = run("promotion", "begin", newest.name, "--json")

    assert begun.exit_code == 0, begun.stderr
    assert json.loads(begun.stdout)["serving"] == "b1"
    assert in_store(url, lambda stores: stores.bundles.wanted()).active == "b1"


def test_no_promotion_begins_while_workers_serve_different_bundles(
    url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_bundle: tuple[Path, Path]
) -> None:
    monkeypatch.setenv("VITRINE_BUNDLES", str(tiny_bundle[0].parent))
    monkeypatch.setenv("VITRINE_EXPORTS", str(tmp_path))
    for worker, bundle in (("w1", "b1"), ("w2", "b2")):
        report = serving(worker, bundle)
        in_store(url, lambda stores, report=report: stores.bundles.report(report))

    refused = run("promotion", "begin", tiny_bundle[0].name)

    assert refused.exit_code == 1
    assert "workers serve b1, b2: activate one of these first" in refused.stderr
    assert in_store(url, lambda stores: stores.bundles.wanted()).active == ""


def serving(worker: str, bundle_id: str) -> WorkerReport:
    return WorkerReport(worker, bundle_id, "", "", None, 0)
