from pathlib import Path

import pytest
from pydantic import ValidationError

from app.settings import PREFIX, Settings, ignored
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


@pytest.mark.parametrize(
    "url",
    [
        "redis+cluster://:secret@a:7000,b:7001,[::1]:7002",
        "redis+cluster://a:7000,b:7001/0",
        "rediss+sentinel://user:secret@a:26379,b/shop/0?sentinel_password=x&ssl_ca_certs=/ca.pem",
    ],
)
def test_a_cluster_and_sentinels_may_have_several_hosts(url: str) -> None:
    assert Settings.model_validate({"redis_url": url}).redis_url == url


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("redis://a:6379,b:6379/0", "names several hosts"),
        ("redis+sentinel://a:26379", "names no master"),
        ("redis+sentinel://a:26379,/shop", "host"),
        ("redis+cluster://a:7000,b:x", "port"),
        ("redis://a:6379/shop", "names database 'shop': a database is a number"),
        ("redis+sentinel://a:26379/shop/x", "names database 'x': a database is a number"),
        ("redis+cluster://a:7000/1", "names database 1: a cluster has database 0 alone"),
        (
            "redis://:p@ss/w#rd@a:6379/0",
            "error, special characters of a password have to be encoded",
        ),
        (
            "redis://:p@ss:w#rd@a:6379/0",
            "port.*special characters of a password have to be encoded",
        ),
    ],
)
def test_a_store_that_cannot_be_found_is_refused_with_the_reason(url: str, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        Settings.model_validate({"redis_url": url})


def test_a_variable_that_sets_nothing_is_named() -> None:
    environment = {"VITRINE_REDIS_URI": "", "VITRINE_PORT": "", "vitrine_host": "", "PATH": ""}

    assert ignored(environment).misspelt == ("VITRINE_REDIS_URI",)


@pytest.mark.parametrize("empty", ["", "  ", '""', "''", "\n"])
def test_an_empty_variable_counts_as_unset(empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Helm and compose write an empty string where a value is left out."""
    for name in Settings.model_fields:
        monkeypatch.setenv(PREFIX + name.upper(), empty)

    assert Settings() == Settings.model_construct()


@pytest.mark.parametrize("written", ['"8123"', "'8123'", " 8123\n", '" 8123 "'])
def test_quotes_and_whitespace_around_a_value_do_not_count(
    written: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VITRINE_PORT", written)

    assert Settings().port == 8123


def test_a_port_that_is_no_number_is_still_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITRINE_PORT", "http")

    with pytest.raises(ValidationError, match="port"):
        Settings()


def links(service: str, *, address: str) -> dict[str, str]:
    """Variables that the kubelet gives every pod for one Service with one port."""
    port = f"{service}_PORT_6379_TCP"
    return {
        f"{service}_SERVICE_HOST": "10.0.0.7",
        f"{service}_SERVICE_PORT": "6379",
        f"{service}_SERVICE_PORT_HTTP": "6379",
        f"{service}_PORT": address,
        port: address,
        f"{port}_PROTO": "tcp",
        f"{port}_PORT": "6379",
        f"{port}_ADDR": "10.0.0.7",
    }


@pytest.mark.parametrize("address", ["tcp://10.0.0.7:6379", "udp://[fd00::7]:6379"])
def test_a_service_of_the_same_name_sets_no_port(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = links("VITRINE", address=address)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert Settings().port == Settings.model_fields["port"].default
    assert Settings(port=9).port == 9
    assert ignored(environment).links == tuple(sorted(environment))
    assert ignored(environment).misspelt == ()


def test_links_of_services_with_longer_names_are_no_misspelt_settings() -> None:
    environment = links("VITRINE_CACHE", address="tcp://10.0.0.7:6379")

    assert ignored(environment).links == tuple(sorted(environment))
    assert ignored(environment).misspelt == ()


def test_a_port_set_beside_service_links_counts() -> None:
    """What a pod sets itself comes before a link of the same name."""
    environment = links("VITRINE", address="tcp://10.0.0.7:6379") | {"VITRINE_PORT": "9000"}

    assert "VITRINE_PORT" not in ignored(environment).links
    assert "VITRINE_SERVICE_HOST" in ignored(environment).links
    assert ignored(environment).misspelt == ()


def test_a_name_like_a_link_without_any_address_is_misspelt() -> None:
    assert ignored({"VITRINE_SERVICE_PORT": "8000"}).misspelt == ("VITRINE_SERVICE_PORT",)


URL_IN_FILE = "redis://vitrine:secret@store:6379/0"


def test_the_url_of_the_store_may_stand_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Kubernetes and compose mount secrets."""
    secret = tmp_path / "url"
    secret.write_text(f"{URL_IN_FILE}\n", encoding="utf-8")
    monkeypatch.setenv("VITRINE_REDIS_URL_FILE", str(secret))

    assert Settings().redis_url == URL_IN_FILE
    assert Settings(redis_url="redis://other:1/0").redis_url == "redis://other:1/0"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"\n", "must hold one line"),
        (b"redis://a:1\nredis://b:1\n", "must hold one line"),
        (b"redis://" + b"a" * 4096, "must hold one line, the URL, of at most 4096 chars"),
        (b"\xff", "it is not UTF-8"),
    ],
)
def test_a_file_without_a_url_is_refused(
    content: bytes | None, reason: str, tmp_path: Path
) -> None:
    secret = tmp_path / "url"
    if content is not None:
        secret.write_bytes(content)

    with pytest.raises(ValidationError, match=reason):
        Settings(redis_url_file=secret)


def test_a_malformed_url_of_a_file_is_not_shown(tmp_path: Path) -> None:
    secret = tmp_path / "url"
    secret.write_text("cluster://:secret@store", encoding="utf-8")

    with pytest.raises(ValidationError) as failed:
        Settings(redis_url_file=secret)

    assert ":secret" not in str(failed.value.errors(include_input=False, include_url=False))


def test_settings_cannot_be_changed_after_the_start() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().state_dir = Path("elsewhere")
