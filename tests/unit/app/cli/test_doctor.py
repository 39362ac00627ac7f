import asyncio
import json
import resource
import shutil
import subprocess
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest
from typer.testing import CliRunner

from app.__main__ import commands
from app.catalogue.catalogue_version import CatalogueVersion, Source
from app.catalogue.snapshot_archive import SnapshotArchive
from app.cli.doctor import (
    disk_finding,
    examine,
    exploration_finding,
    provider_finding,
    search_finding,
)
from app.cli.finding import Finding, Verdict
from app.cli.store_checks import rights_finding, skew_finding, version_finding
from app.health.store_monitor import WRITES_ADVICE
from app.security.key import KeyFile, Scope, entry_of, new_key
from app.security.key_ring import write_keys
from app.settings import Settings
from app.stores.embedded import embedded_server
from app.stores.keys import CHANGES, N_PARTITIONS, write_probe
from app.stores.server import Refusal
from app.stores.store import Stores
from models.catalogue.snapshot import Snapshot
from models.neighbours.search import Device
from models.pictures.onnx import Provider
from tests.builders import catalogue
from tests.contract.servers import (
    acl_server,
    cluster,
    documented_rights,
    documented_shell,
    redis_binary,
    redis_server,
    tell,
)
from tests.shop import sale
from tests.trials import Answer, exposures


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    with embedded_server(tmp_path_factory.mktemp("store")) as url:
        yield url


def settings(tmp_path: Path, **given: object) -> Settings:
    return Settings.model_validate({"state_dir": tmp_path, "bundles": tmp_path, **given})


def worse(findings: list[Finding]) -> dict[str, Verdict]:
    return {one.subject: one.verdict for one in findings if one.verdict is not Verdict.OK}


def test_a_machine_that_can_serve_has_no_failure(
    tmp_path: Path, tiny_bundle: tuple[Path, Path], url: str
) -> None:
    found = examine(settings(tmp_path, bundle=str(tiny_bundle[0])), url)

    assert Verdict.FAILURE not in worse(found).values(), found
    subjects = {one.subject.split()[0] for one in found}
    assert subjects == {
        *{"store", "clock", "bundle", "pictures", "kernel", "search"},
        *{"keys", "plan", "exploration", "network", "disk"},
    }


def test_every_fault_is_named_with_what_to_do(tmp_path: Path) -> None:
    away = f"unix://{tmp_path}/no.sock"

    absent = {"keys": tmp_path / "none.json", "plan": tmp_path / "none.yaml"}
    found = examine(settings(tmp_path, **absent), away)

    failed = {"store", "bundle", "keys", "plan"}
    assert worse(found) == dict.fromkeys(failed, Verdict.FAILURE)
    assert all(one.advice for one in found if one.subject in failed)


async def evict(url: str, policy: str) -> None:
    stores = Stores.open(url)
    await stores.connection.execute("CONFIG", "SET", "maxmemory-policy", policy, doing="setting")
    await stores.server.close()


async def test_a_store_that_evicts_is_a_failure(tmp_path: Path, url: str) -> None:
    await evict(url, "allkeys-lru")
    runner = CliRunner(env={"VITRINE_STATE_DIR": str(tmp_path), "VITRINE_BUNDLES": str(tmp_path)})
    try:
        result = await asyncio.to_thread(
            runner.invoke, commands, ["doctor", "--redis-url", url, "--json"]
        )
    finally:
        await evict(url, "noeviction")

    found = {one["subject"]: one for one in json.loads(result.stdout)}
    assert result.exit_code == 1
    assert found["store eviction"]["verdict"] == "failure"
    assert "noeviction" in found["store eviction"]["advice"]


@pytest.mark.redis
def test_a_node_of_a_cluster_that_evicts_is_a_failure(tmp_path: Path) -> None:
    binary = redis_binary()
    if binary is None:
        pytest.skip("redis-server is not installed")
    with cluster(binary, tmp_path) as url:
        ports = [int(folder.name) for folder in tmp_path.iterdir() if folder.name.isdigit()]
        for port in ports:
            tell(port, "CONFIG SET appendonly yes")
        before = examine(settings(tmp_path), url)
        tell(max(ports), "CONFIG SET maxmemory-policy allkeys-lru")
        tell(min(ports), "CONFIG SET appendonly no")
        found = examine(settings(tmp_path), url)

    subjects = ("store eviction", "store persistence")
    assert [of(before, one).verdict for one in subjects] == [Verdict.OK, Verdict.OK]
    assert [of(found, one).seen for one in subjects] == ["allkeys-lru", "no append-only file"]
    assert of(found, "store eviction").verdict is Verdict.FAILURE


def of(found: list[Finding], subject: str) -> Finding:
    [one] = [one for one in found if one.subject == subject]
    return one


@pytest.mark.redis
@pytest.mark.parametrize(
    ("without", "named"),
    [
        ("+xadd", "+xadd"),
        ("~x:*", "~x:*"),
    ],
)
def test_a_right_to_write_that_is_missing_is_named(
    tmp_path: Path, without: str, named: str
) -> None:
    binary = redis_binary()
    if binary is None:
        pytest.skip("redis-server is not installed")
    with acl_server(binary, tmp_path, without=without) as url:
        found = of(examine(settings(tmp_path), url), "store rights")

    assert found.verdict is Verdict.FAILURE
    assert named in found.seen
    assert "docs/store.md" in found.advice


@pytest.mark.redis
async def test_any_command_that_the_user_may_not_run_is_a_failure(tmp_path: Path) -> None:
    binary = redis_binary()
    if binary is None:
        pytest.skip("redis-server is not installed")
    commands = {right for right in documented_rights().split() if right.startswith("+")}
    unnoticed: list[str] = []
    with acl_server(binary, tmp_path) as url:
        stores = Stores.open(url)
        for right in sorted(commands - NEEDED_ELSEWHERE):
            await allow(stores, f"-{right[1:]}")
            if (await rights_finding(stores.server)).verdict is Verdict.OK:
                unnoticed.append(right)
            await allow(stores, right)
        await stores.server.close()

    assert unnoticed == []


NEEDED_ELSEWHERE = {"+cluster|slots", "+cluster|shards", "+@connection", "+info"}
"""To connect, and to say what store it is, which comes first."""


async def allow(stores: Stores, rule: str) -> None:
    await stores.connection.execute("ACL", "SETUSER", "vitrine", rule, doing="changing rights")


@pytest.mark.redis
def test_the_documented_rights_are_enough_and_only_probes_are_left(tmp_path: Path) -> None:
    binary = redis_binary()
    if binary is None:
        pytest.skip("redis-server is not installed")
    with acl_server(binary, tmp_path) as url:
        found = of(examine(settings(tmp_path), url), "store rights")
        left = asyncio.run(names(url))

    assert found.verdict is Verdict.OK, found
    assert set(left) == {write_probe(p).encode() for p in range(N_PARTITIONS)}


@pytest.mark.redis
def test_the_user_is_made_by_pasting_the_command_of_the_page(tmp_path: Path) -> None:
    binary, cli = redis_binary(), shutil.which("redis-cli")
    if binary is None or cli is None:
        pytest.skip("redis-server is not installed")
    with redis_server(binary, tmp_path) as url:
        path = url.removeprefix("unix://")
        pasted = documented_shell().replace("redis-cli", f"{cli} -s {path}")
        said = subprocess.run(["/bin/sh"], input=pasted, check=True, capture_output=True, text=True)
        as_user = f"{url}?username=vitrine&password=PASSWORD"
        found = of(examine(settings(tmp_path), as_user), "store rights")

    assert said.stdout.split() == ["OK"]
    assert found.verdict is Verdict.OK, found


async def names(url: str) -> list[object]:
    stores = Stores.open(url)
    reply = await stores.connection.execute("KEYS", "*", doing="looking")
    await stores.server.close()
    return cast("list[object]", reply)


async def limit_memory(url: str, n_bytes: int) -> None:
    stores = Stores.open(url)
    await stores.connection.execute("CONFIG", "SET", "maxmemory", n_bytes, doing="setting")
    await stores.server.close()


async def test_a_store_that_is_full_is_a_failure(tmp_path: Path, url: str) -> None:
    await limit_memory(url, 1)
    try:
        found = await asyncio.to_thread(examine, settings(tmp_path), url)
    finally:
        await limit_memory(url, 0)

    assert of(found, "store rights").verdict is Verdict.FAILURE
    assert of(found, "store rights").advice == WRITES_ADVICE[Refusal.FULL]


async def test_a_replica_is_a_failure_in_the_words_of_the_store_monitor(tmp_path: Path) -> None:
    with embedded_server(tmp_path) as url:
        stores = Stores.open(url)
        await stores.connection.execute("REPLICAOF", "127.0.0.1", 1, doing="breaking")
        found = await rights_finding(stores.server)
        await stores.server.close()

    assert (found.verdict, found.advice) == (Verdict.FAILURE, WRITES_ADVICE[Refusal.REPLICA])


async def test_a_store_that_was_never_loaded_is_named_with_the_command_that_loads(
    tmp_path: Path,
) -> None:
    with embedded_server(tmp_path / "store") as url:
        found = await asyncio.to_thread(examine, settings(tmp_path), url)

    assert of(found, "store catalogue") == Finding(
        "store catalogue",
        Verdict.WARNING,
        "no sales yet",
        "run `python -m app load --data DIR`, or put sales",
    )


@pytest.mark.parametrize(("limit", "is_full"), [(1_000_000, True), (64_000_000, False)])
def test_a_state_directory_that_takes_no_catalogue_is_a_failure(
    tmp_path: Path, limit: int, *, is_full: bool
) -> None:
    """A file may not grow beyond the limit of the process, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        found = disk_finding(settings(tmp_path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert (found.verdict is Verdict.FAILURE, "does not take 16 MB" in found.seen) == (
        is_full,
        is_full,
    )
    assert ("VITRINE_STATE_DIR" in found.advice) == is_full


async def test_a_store_that_lost_sales_is_a_failure_with_the_command_that_fills_it(
    tmp_path: Path, url: str
) -> None:
    stores = Stores.open(url)
    await stores.sales.put([sale("s1"), sale("s2")])
    served = CatalogueVersion.from_content(
        Snapshot.from_sales({one: sale(one) for one in ("s1", "s2")}, {}),
        catalogue(),
        source=Source.STORE,
        scorer=None,
    )
    whole = await stores.sales.changes(0)
    archive = SnapshotArchive(tmp_path / "snapshots")
    archive.remember(served, generation=whole.generation, version=whole.version)
    await stores.connection.execute("FLUSHALL", doing="emptying the store")
    await stores.server.close()

    found = of(await asyncio.to_thread(examine, settings(tmp_path), url), "store catalogue")

    assert found.verdict is Verdict.FAILURE
    assert "lacks the newest state of 2 sales" in found.seen
    assert "python -m app load --data DIR" in found.advice


async def test_a_lost_log_of_changes_is_a_warning_with_what_logs_it_anew(
    tmp_path: Path, url: str
) -> None:
    stores = Stores.open(url)
    await stores.connection.execute("FLUSHALL", doing="emptying the store")
    await stores.sales.put([sale("s1"), sale("s2")])
    await stores.connection.execute("DEL", CHANGES, doing="losing the log")
    await stores.server.close()

    found = of(await asyncio.to_thread(examine, settings(tmp_path), url), "store catalogue")

    assert found.verdict is Verdict.WARNING
    assert found.seen == "the log of changes lacks 2 sales and pictures that are stored"
    assert "python -m app load --data DIR" in found.advice


def test_a_store_without_an_append_only_file_is_a_warning(tmp_path: Path, redis: str) -> None:
    found = of(examine(settings(tmp_path), redis), "store persistence")

    assert (found.verdict, "appendonly yes" in found.advice) == (Verdict.WARNING, True)


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """A store that keeps nothing."""
    with embedded_server(tmp_path_factory.mktemp("forgetful")) as url:
        asyncio.run(forget(url))
        yield url


async def forget(url: str) -> None:
    stores = Stores.open(url)
    await stores.connection.execute("CONFIG", "SET", "appendonly", "no", doing="setting")
    await stores.server.close()


@pytest.mark.parametrize(
    ("info", "verdict"),
    [
        ({"redis_version": "6.2.7"}, Verdict.FAILURE),
        ({"redis_version": "7.0.15"}, Verdict.OK),
        ({"redis_version": "7.2.4", "valkey_version": "8.1.1"}, Verdict.OK),
        ({}, Verdict.FAILURE),
    ],
)
def test_a_store_that_is_too_old_is_a_failure(info: dict[str, object], verdict: Verdict) -> None:
    found = version_finding(info)

    assert found.verdict is verdict
    assert ("install Redis 7.0" in found.advice) == (verdict is Verdict.FAILURE)


@pytest.mark.parametrize(("skew_ms", "verdict"), [(-1_001.0, Verdict.WARNING), (999.0, Verdict.OK)])
def test_clocks_that_differ_are_a_warning(skew_ms: float, verdict: Verdict) -> None:
    found = skew_finding(skew_ms)

    assert (found.verdict, "NTP" in found.advice) == (verdict, verdict is Verdict.WARNING)


def test_a_gpu_that_was_asked_for_and_not_got_is_a_warning() -> None:
    pictures = provider_finding(asked=Provider.CUDA, got=Provider.CPU)
    search = search_finding(Device.CPU, built_for_gpu=True)

    assert pictures.seen == (
        "onnxruntime was asked for CUDAExecutionProvider and got CPUExecutionProvider"
    )
    assert {pictures.verdict, search.verdict} == {Verdict.WARNING}
    assert "nvidia-smi" in pictures.advice
    assert "nvidia-smi" in search.advice


def test_a_machine_without_a_gpu_is_no_fault() -> None:
    pictures = provider_finding(asked=Provider.CPU, got=Provider.CPU)
    search = search_finding(Device.CPU, built_for_gpu=False)

    assert {pictures.verdict, search.verdict} == {Verdict.OK}


def test_the_price_of_exploration_is_that_of_the_exported_answers(tmp_path: Path) -> None:
    """Of three answers exploration changed one, and lost 0.006 purchases in it: 2 of 1,000."""
    given = settings(tmp_path, exports=tmp_path, explored_share=0.05)
    before = exploration_finding(given)
    answers = [Answer(unit="a", cost=0.006), Answer(unit="b"), Answer(unit="c")]
    exposures(answers).write_parquet(tmp_path / "exposures.parquet")

    found = exploration_finding(given)
    (tmp_path / "exposures.parquet").write_text("damaged")

    assert before.seen.startswith("5.0% of answers are drawn, unless their policy says its own")
    assert found.verdict is Verdict.OK
    changed = "it changed 1 of 3 exported answers, and is expected to cost 2 purchases or clicks"
    assert changed in found.seen
    assert exploration_finding(given).verdict is Verdict.WARNING


def test_keys_that_everybody_may_write_are_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    key_id, key = new_key()
    made = datetime(2026, 11, 24, tzinfo=UTC)
    entry = entry_of(key, key_id, scopes=[Scope.READ], created_at=made)
    write_keys(path, KeyFile(keys=(entry,)))
    away = f"unix://{tmp_path}/no.sock"
    good = of(examine(settings(tmp_path, keys=path), away), "keys")

    path.chmod(0o666)
    bad = of(examine(settings(tmp_path, keys=path), away), "keys")

    assert (good.verdict, bad.verdict) == (Verdict.OK, Verdict.FAILURE)
    assert bad.advice.startswith("chmod 600")
