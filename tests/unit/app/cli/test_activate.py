"""The command `activate` against a stub of a service."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.__main__ import commands
from app.cli.activate import ActivationError, activate
from models.scoring.bundle import write_bundle
from tests.bundles import DRAFT
from tests.contract.servers import free_port
from tests.served import served


@dataclass
class Stub:
    """What a server answers, and what it heard."""

    status: int
    body: bytes
    heard: list[tuple[str, str | None, bytes]] = field(
        default_factory=list[tuple[str, str | None, bytes]]
    )
    url: str = ""


@contextmanager
def server(status: int, body: bytes) -> Generator[Stub]:
    stub = Stub(status, body)

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            stub.heard.append((self.path, self.headers["X-API-Key"], content))
            self.send_response(stub.status)
            self.end_headers()
            self.wfile.write(stub.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's
            del format, args

    server = HTTPServer(("127.0.0.1", 0), Handler)
    stub.url = f"http://127.0.0.1:{server.server_port}"
    with served(server):
        yield stub


def test_the_newest_bundle_is_asked_for_with_the_key_of_a_file(tmp_path: Path) -> None:
    _, newest = (
        write_bundle(tmp_path, DRAFT.model_copy(update={"until": until}), files={"a": b"1"})
        for until in ("2026-11-01T00:00:00+00:00", "2026-11-02T00:00:00+00:00")
    )
    (tmp_path / "key").write_text("vtr_secret\n")
    runner = CliRunner(env={"VITRINE_BUNDLES": str(tmp_path)})
    with server(200, b"{}") as stub:
        options = ["--url", stub.url + "/shop/", "--key-file", str(tmp_path / "key"), "--json"]
        result = runner.invoke(commands, ["activate", *options])

    assert (result.exit_code, json.loads(result.stdout)) == (0, {"active": newest.name})
    body = json.dumps({"bundle": newest.name, "spare_promotion": True}).encode()
    assert stub.heard == [("/shop/v1/bundles/active", "vtr_secret", body)]


def test_the_newest_bundle_leaves_a_running_promotion_alone(tmp_path: Path) -> None:
    """A job that activates every night ends well, and says that it changed nothing."""
    write_bundle(tmp_path, DRAFT, files={"a": b"1"})
    problem = b'{"code": "promotion_spared", "detail": "promotion 3 runs"}'
    runner = CliRunner(env={"VITRINE_BUNDLES": str(tmp_path)})
    with server(409, problem) as stub:
        result = runner.invoke(commands, ["activate", "--url", stub.url, "--json"])
        named = runner.invoke(commands, ["activate", "x", "--url", stub.url])

    assert (result.exit_code, json.loads(result.stdout)) == (0, {"spared": "promotion 3 runs"})
    assert [json.loads(body)["spare_promotion"] for _, _, body in stub.heard] == [True, False]
    assert named.exit_code == 1


def test_a_refusal_ends_the_command_with_its_reason() -> None:
    problem = b'{"code": "bundle_refused", "detail": "a golden row differs"}'
    with server(409, problem) as stub:
        result = CliRunner().invoke(commands, ["activate", "x", "--url", stub.url])

    assert result.exit_code == 1
    wanted = f"{stub.url} does not answer with bundle x: 409 bundle_refused: a golden row differs"
    assert wanted in result.output


def test_something_else_that_listens_is_named() -> None:
    with (
        server(404, b"<html>") as stub,
        pytest.raises(ActivationError, match="it answered 404, and not as Vitrine does"),
    ):
        activate(stub.url, "x", api_key=None, spare_promotion=False)


def test_an_address_without_a_listener_is_named() -> None:
    with pytest.raises(ActivationError, match="Connection refused"):
        activate(f"http://127.0.0.1:{free_port()}", "x", api_key=None, spare_promotion=False)


def test_an_address_of_another_kind_is_refused() -> None:
    with pytest.raises(ActivationError, match="must be http"):
        activate("vitrine:8000", "x", api_key=None, spare_promotion=False)
