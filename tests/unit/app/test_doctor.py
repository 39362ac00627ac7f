import asyncio
import json
from collections.abc import Generator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.__main__ import commands
from app.doctor import Finding, Verdict, examine
from app.settings import Settings
from app.stores.embedded import embedded_server
from app.stores.store import RedisStores


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
    assert subjects == {"store", "clock", "bundle", "pictures", "search", "keys", "network", "disk"}


def test_every_fault_is_named_with_what_to_do(tmp_path: Path) -> None:
    away = f"unix://{tmp_path}/no.sock"

    found = examine(settings(tmp_path, keys=tmp_path / "none.json"), away)

    failed = {"store", "bundle", "keys"}
    assert worse(found) == dict.fromkeys(failed, Verdict.FAILURE)
    assert all(one.advice for one in found if one.subject in failed)


async def evict(url: str, policy: str) -> None:
    stores = RedisStores.open(url)
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
