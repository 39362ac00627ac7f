from pathlib import Path

import pytest
from pydantic import ValidationError

from app.settings import PREFIX, Settings, misspelt
from tests.proofs import ROOT


def documented() -> dict[str, str]:
    """Default by variable, from the rows of the table in docs/settings.md."""
    rows = (ROOT / "docs/settings.md").read_text(encoding="utf-8").splitlines()
    table = [row for row in rows if row.startswith(f"| `{PREFIX}")]
    cells = [[cell.strip(" `") for cell in row.strip("|").split("|")] for row in table]
    return {variable: default for variable, default, _ in cells}


def test_every_setting_stands_in_the_table_with_its_default() -> None:
    defaults = {
        PREFIX + name.upper(): "" if field.default is None else str(field.default).lower()
        for name, field in Settings.model_fields.items()
    }

    assert {name: default.lower() for name, default in documented().items()} == defaults


def test_a_variable_sets_its_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITRINE_READ_TIMEOUT_MS", "12")
    monkeypatch.setenv("VITRINE_REDIS_URL", "unix:///run/store.sock")

    settings = Settings()

    assert settings.read_timeout_ms == 12
    assert str(settings.redis_url) == "unix:///run/store.sock"


def test_an_option_comes_before_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITRINE_PORT", "1")

    assert Settings.model_validate({"port": 2}).port == 2


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.8.9.1"])
def test_loopback_needs_no_consent(host: str) -> None:
    assert Settings(host=host).host == host


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "shop.example"])  # noqa: S104 - refused
def test_the_network_needs_consent(host: str) -> None:
    """Without keys, whoever reaches the port may read and write."""
    with pytest.raises(ValidationError, match="reachable from the network"):
        Settings(host=host)

    assert Settings(host=host, open_to_network=True).host == host


@pytest.mark.parametrize("url", ["http://store", "store:6379"])
def test_a_store_of_another_kind_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="redis_url"):
        Settings.model_validate({"redis_url": url})


def test_a_variable_that_sets_nothing_is_named() -> None:
    environment = {"VITRINE_REDIS_URI": "", "VITRINE_PORT": "", "vitrine_host": "", "PATH": ""}

    assert misspelt(environment) == ["VITRINE_REDIS_URI"]


def test_settings_cannot_be_changed_after_the_start() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().state_dir = Path("elsewhere")
