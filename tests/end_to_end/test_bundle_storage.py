"""Two services far from each other get their bundles from an object store."""

from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path

import httpx
import obstore
import pytest
from obstore.store import from_url

from models.scoring.bundle import MANIFEST
from models.scoring.bundle_storage import BundleStorage
from tests.bundles import recalibrated
from tests.end_to_end.in_process import run_here
from tests.end_to_end.service import Service, http, serving
from tests.s3 import S3, s3_server

ACTIVE = "/v1/bundles/active"


@pytest.fixture
def s3() -> Generator[S3]:
    with s3_server() as running:
        yield running


def activate(service: Service, bundle_id: str) -> httpx.Response:
    return http.put(service.url + ACTIVE, json={"bundle": bundle_id}, timeout=60.0)


def test_services_fetch_and_activate_what_was_published_and_nothing_half(
    s3: S3, tiny_bundle: tuple[Path, Path], tmp_path: Path
) -> None:
    first = tiny_bundle[0]
    second = recalibrated(first, tmp_path / "made", shift=0.5)
    half = recalibrated(first, tmp_path / "made", shift=0.6)
    pushed = run_here("training", "bundles", "push", s3.url, str(first))
    assert pushed.exit_code == 0, pushed.output
    variables = {"VITRINE_BUNDLES_FROM": s3.url, **s3.environment}
    with ExitStack() as running:
        services: list[Service] = []
        for name in ("here", "there"):
            folder = tmp_path / name
            folder.mkdir()
            bundles = str(folder / "bundles")
            service = serving(folder, **variables, VITRINE_BUNDLES=bundles)
            services.append(running.enter_context(service))
        for service in services:
            service.wait_until("/health/ready", status=200)
            listed = http.get(service.url + "/v1/bundles").json()
            assert [one["active"] for one in listed["workers"]] == [first.name]

        assert all(activate(one, second.name).status_code == 409 for one in services)
        BundleStorage.open(s3.url).publish(second)
        activated = [activate(one, second.name) for one in services]

        assert [one.status_code for one in activated] == [200, 200], activated[0].text
        answers = [http.get(f"{one.url}/v1/recommendations?customer_id=c1") for one in services]
        assert {one.json()["bundle"] for one in answers} == {second.name}

        BundleStorage.open(s3.url).publish(half)
        objects = from_url(s3.url, client_options={"allow_http": True})
        obstore.delete(objects, f"{half.name}/{MANIFEST}")
        refused = activate(services[0], half.name)
        assert refused.status_code == 409
        assert f"{MANIFEST} is not in {s3.url}" in refused.json()["detail"]
        answer = http.get(f"{services[0].url}/v1/recommendations?customer_id=c1")
        assert answer.json()["bundle"] == second.name
    assert sorted(path.name for path in (tmp_path / "there/bundles").iterdir()) == sorted(
        (first.name, second.name)
    )


def test_a_bundle_is_pulled_and_old_ones_are_removed(
    s3: S3, tiny_bundle: tuple[Path, Path], tmp_path: Path
) -> None:
    first = tiny_bundle[0]
    second = recalibrated(first, tmp_path / "made", shift=0.5)
    here = str(tmp_path / "here")

    pushed = [
        run_here("training", "bundles", "push", s3.url, str(one), "--keep", "1", "--json")
        for one in (first, second)
    ]
    pulled = run_here("training", "bundles", "pull", s3.url, "--bundles", here)
    gone = run_here("training", "bundles", "pull", s3.url, first.name, "--bundles", here)

    assert [one.exit_code for one in pushed] == [0, 0], pushed[-1].output
    kept = BundleStorage.open(s3.url).newest()
    assert pulled.output.strip() == f"{kept} is in {here}"
    assert [path.name for path in (tmp_path / "here").iterdir()] == [kept]
    if kept != first.name:
        assert gone.exit_code == 1
        assert f"{MANIFEST} is not in {s3.url}" in gone.output
