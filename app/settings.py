"""Settings of the service: environment variables, read once at start and passed down.

docs/settings.md lists the same, and a test compares the two.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import (
    AfterValidator,
    AnyUrl,
    Field,
    HttpUrl,
    TypeAdapter,
    UrlConstraints,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.environment import is_service_link, plain, service_links
from models.domain.errors import plain_message
from models.pictures.picture import Limits
from models.rules.rule import HIDE_DISLIKED_DAYS

PREFIX: Final = "VITRINE_"

# Full after some hours of a hundred answers a second without an export: docs/store.md.
STREAM_BYTES: Final = 1024 * 1024 * 1024

# Chosen: a URL may name several hosts.
_SECRET_CHARS: Final = 4096

SCHEMES: Final = (
    *("redis", "rediss", "unix"),
    *("redis+cluster", "rediss+cluster", "redis+sentinel", "rediss+sentinel"),
)

_ONE_PLACE: Final = TypeAdapter[AnyUrl](
    Annotated[AnyUrl, UrlConstraints(allowed_schemes=list(SCHEMES))]
)


_ENCODE: Final = "special characters of a password have to be encoded, such as / by %2F"


def _check_database(scheme: str, path: str) -> None:
    """Check the path of a URL: a database, behind the name of a master for Sentinels."""
    master, _, database = path.partition("/") if scheme.endswith("+sentinel") else ("-", "", path)
    if not master:
        msg = "names no master: add it as redis+sentinel://host:26379/NAME/0"
        raise ValueError(msg)
    # redis-py takes a name for database 0, and an export would empty the streams of another shop.
    if database and not database.isdecimal():
        msg = f"names database {database!r}: a database is a number, such as /0"
        raise ValueError(msg)
    if scheme.endswith("+cluster") and database.strip("0"):
        msg = f"names database {database}: a cluster has database 0 alone"
        raise ValueError(msg)


def _store_url(url: str) -> str:
    """Check a URL that may name several places, separated by commas."""
    scheme, _, rest = url.partition("://")
    end = min((at for at in (rest.find("/"), rest.find("?")) if at >= 0), default=len(rest))
    user, at, hosts = rest[:end].rpartition("@")
    for host in hosts.split(","):
        try:
            place = _ONE_PLACE.validate_python(f"{scheme}://{user}{at}{host}{rest[end:]}")
        except ValidationError as exc:
            msg = plain_message(exc.errors(include_url=False, include_input=False)[0]["msg"])
            raise ValueError(f"{msg}; {_ENCODE}" if at else msg) from exc
        if scheme != "unix" and not place.host:
            msg = "names no host"
            raise ValueError(msg)
    path = rest[end:].partition("?")[0].strip("/")
    if "@" in path:
        raise ValueError(_ENCODE)  # without the path, which holds a part of the password
    if scheme != "unix":
        _check_database(scheme, path)
    if "," in hosts and "+" not in scheme:
        msg = "names several hosts: only a cluster and Sentinels have more than one"
        raise ValueError(msg)
    return url


StoreUrl = Annotated[str, AfterValidator(_store_url)]


class Settings(BaseSettings):
    """All settings: environment variables with the prefix ``VITRINE_``."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    redis_url: StoreUrl | None = Field(
        default=None,
        description="The store, see docs/store.md. Unset: the embedded server.",
    )
    redis_url_file: Path | None = Field(
        default=None,
        description="File with the store's URL, as secrets are mounted, read at start. "
        "VITRINE_REDIS_URL and `--redis-url` come before it.",
    )
    state_dir: Path = Field(
        default=Path("var"),
        description="Where this machine keeps the embedded server's file and saved snapshots.",
    )
    metrics_dir: Path | None = Field(
        default=None,
        description="Where several workers share their metrics, 7 MiB each. Unset: /dev/shm, or "
        "else the directory of temporary files.",
    )
    exports: Path | None = Field(
        default=None,
        description="Where `python -m app export-events` writes on this machine. Results of "
        "experiments are computed from these files. Unset: there are no results.",
    )
    web_pages: bool | None = Field(
        default=None,
        description="Serve web pages: /docs and /insight. Unset: only while the service "
        "listens on loopback.",
    )
    demo: Path | None = Field(
        default=None,
        description="Dataset whose shop window /demo shows, with the pictures of its images/. "
        "Visitors act as any of its customers: not for production. Unset: no /demo.",
    )
    bundles: Path = Field(default=Path("models/bundles"), description="Directory of all bundles.")
    bundles_from: str | None = Field(
        default=None,
        description="URL of a bundle storage, as s3://bucket/bundles. What is asked for and not in "
        "`bundles` is fetched from it. Credentials come from the environment, see "
        "docs/operations.md. Unset: none.",
    )
    bundle: str | None = Field(
        default=None,
        description="Bundle to serve until one is activated: an id below `bundles`, or a "
        "directory. Unset: the newest.",
    )
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8000, ge=0, le=65_535, description="Port to listen on; 0 picks one.")
    keys: Path | None = Field(
        default=None,
        description="File of API keys, see docs/security.md; followed while the service runs. "
        "Unset: no keys.",
    )
    open_to_network: bool = Field(
        default=False,
        description="Listen beyond loopback without keys: every caller may do everything.",
    )
    requests_per_s: int = Field(
        default=1_000,
        ge=1,
        description="Requests a second of a key to each worker, unless its file says otherwise; "
        "429 beyond.",
    )
    workers: int = Field(default=1, ge=1, le=64, description="Processes that share the port.")
    # Chosen: its callers gave up long before. Above the silence of 5 s that is logged.
    worker_lost_s: float = Field(
        default=30.0,
        gt=5,
        le=3_600,
        description="Seconds of silence after which a worker that hangs is killed and replaced.",
    )
    drain_s: float = Field(
        default=2.0,
        ge=0,
        le=300,
        description="Seconds between reporting not ready and closing the port, after a SIGTERM.",
    )
    # Chosen: a page hardly waits for it. The read of the customer leaves 20 ms of it to rank in.
    deadline_ms: int = Field(
        default=50,
        ge=1,
        le=60_000,
        description="Time for one answer, from the arrival of its request. Without time left for "
        "the model, sales are ranked by popularity.",
    )
    # An answer computes for most of its time: more at once would each take longer. Chosen.
    max_in_flight: int = Field(
        default=8,
        ge=1,
        le=64,
        description="Recommendations, and batches of events, that a worker computes at the same "
        "time; further ones wait. Fewer recommendations if they take longer.",
    )
    max_waiting: int = Field(
        default=64,
        ge=1,
        le=10_000,
        description="Requests that may wait for a worker, of each kind. Beyond it the oldest "
        "recommendations are answered by popularity, and further requests get 503.",
    )
    read_timeout_ms: int = Field(
        default=30,
        ge=1,
        le=10_000,
        description="Longest read of a customer; then they are answered as `anonymous`.",
    )
    write_timeout_ms: int = Field(
        default=2_000,
        ge=1,
        le=60_000,
        description="Longest write of a batch of events; then it gets 503.",
    )
    max_body_bytes: int = Field(
        default=4 * 1024 * 1024, ge=1_024, description="Larger request bodies get 413."
    )
    max_picture_bytes: int = Field(
        default=Limits().n_bytes,
        ge=1_024,
        le=Limits().n_bytes,
        description="Larger pictures get 413.",
    )
    # Above the idle timeout of balancers, mostly 60 s: if they do not close first, a request may
    # meet a connection that is being closed.
    keep_alive_s: int = Field(
        default=75,
        ge=1,
        le=3_600,
        description="Keep-alive: seconds that a connection may be idle between two requests. Set "
        "it above the idle timeout of a load balancer.",
    )
    max_connections: int = Field(
        default=4_096,
        ge=1,
        le=65_536,
        description="Connections that a worker holds at once, see docs/security.md.",
    )
    max_connections_per_address: int = Field(
        default=1_024, ge=1, le=65_536, description="The same of one address."
    )
    # Node and Tomcat allow 8 to 16 KiB, for pages; a ranking names sales in its URL.
    max_head_bytes: int = Field(
        default=128 * 1024,
        ge=1_024,
        le=16 * 1024 * 1024,
        description="A longer URL gets 414, larger headers 431. 500 excluded sales take 70,000.",
    )
    max_headers: int = Field(
        default=100, ge=8, le=10_000, description="A request with more headers gets 431."
    )
    # Chosen, as is the next: far above what a phone needs, and slow callers hold few places.
    head_timeout_s: float = Field(
        default=10.0,
        gt=0,
        le=3_600,
        description="Longest wait for the headers of a request; then it gets 408.",
    )
    body_timeout_s: float = Field(
        default=30.0,
        gt=0,
        le=3_600,
        description="Longest wait for a body, then 408, and for the caller to read an answer.",
    )
    # Chosen: four of the largest pictures, or sixteen of the largest other bodies.
    max_held_bytes: int = Field(
        default=64 * 1024 * 1024,
        ge=1_024,
        description="Bytes of requests that a worker receives or answers at once; 503 beyond.",
    )
    stream_bytes: int = Field(
        default=STREAM_BYTES,
        ge=1024 * 1024,
        description="Bytes that events and answers may take in the store until they are exported, "
        "half each. Beyond it the oldest are dropped and counted, see docs/store.md.",
    )
    plan: Path | None = Field(
        default=None,
        description="File with the plan of experiments until one is put into the store, see "
        "docs/experiments.md. Unset: all customers get the order of the meta-model.",
    )
    hide_disliked_days: int = Field(
        default=HIDE_DISLIKED_DAYS,
        ge=0,
        le=400,
        description="Days for which a sale is not shown to a customer who disliked it; 0 shows it.",
    )
    # Chosen: with the usual temperature it costs 0.26% of expected purchases (docs/evaluation.md).
    explored_share: float = Field(
        default=0.02,
        ge=0,
        le=1,
        description="Share of answers with slates drawn by Plackett-Luce, where the policy does "
        "not say its exploration. 0: none.",
    )
    slow_request_ms: int = Field(
        default=250, ge=1, description="Slower requests are logged with their stages."
    )
    access_log: bool = Field(
        default=False,
        description="Log a line of each request: method, route, status, milliseconds, and what "
        "answered. Also below VITRINE_LOG_LEVEL.",
    )
    traces_to: HttpUrl | None = Field(
        default=None,
        description="Collector of OpenTelemetry traces (OTLP over HTTP), as "
        "http://collector:4318/v1/traces, see docs/operations.md. Unset: no traces.",
    )
    traced_share: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="Share of requests that are traced, of those without a `traceparent`, which "
        "decides itself.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Lowest level of log lines on stderr."
    )

    @model_validator(mode="before")
    @classmethod
    def _as_meant(cls, given: dict[str, object]) -> dict[str, object]:
        # Compose sets empty values, and Kubernetes VITRINE_PORT for a Service named `vitrine`.
        values = {n: plain(v) if isinstance(v, str) else v for n, v in given.items()}
        port = values.get("port")
        if isinstance(port, str) and is_service_link(port):
            del values["port"]
        known = {name: value for name, value in values.items() if value != ""}
        if "redis_url" not in known and "redis_url_file" in known:
            known["redis_url"] = _secret(Path(str(known["redis_url_file"])))
        return known

    @model_validator(mode="after")
    def _holds_any_body(self) -> Self:
        largest = max(self.max_body_bytes, self.max_picture_bytes)
        if self.max_held_bytes < largest:
            msg = (
                f"max_held_bytes is {self.max_held_bytes} and one body may have {largest}: such a"
                " body could never be received; raise it, or lower max_body_bytes and"
                " max_picture_bytes"
            )
            raise ValueError(msg)
        return self

    @property
    def has_web_pages(self) -> bool:
        """Whether web pages are served."""
        return self.is_on_loopback if self.web_pages is None else self.web_pages

    @property
    def is_on_loopback(self) -> bool:
        """Whether only this machine can reach the service."""
        return is_loopback(self.host)

    @model_validator(mode="after")
    def _stays_on_loopback(self) -> Self:
        if not (self.keys or self.open_to_network or self.is_on_loopback):
            msg = (
                f"host {self.host!r} is reachable from the network and the service has no keys:"
                " listen on 127.0.0.1, or make keys with `python -m app keys new` and set"
                " VITRINE_KEYS, or set open_to_network to accept that anybody may call it"
            )
            raise ValueError(msg)
        return self


def _secret(path: Path) -> str:
    """Return the line of a file."""
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(_SECRET_CHARS + 1).strip()
    except (OSError, UnicodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8"
        msg = f"redis_url_file {path} cannot be read: {reason}"
        raise ValueError(msg) from None
    if not text or "\n" in text or len(text) > _SECRET_CHARS:
        msg = f"redis_url_file {path} must hold one line, the URL, of at most {_SECRET_CHARS} chars"
        raise ValueError(msg)
    return text


def is_loopback(host: str) -> bool:
    """Tell whether a name or address is this machine's alone."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False  # another name may become any address


@dataclass(frozen=True, slots=True)
class Ignored:
    """Variables that carry the prefix and set nothing, sorted."""

    misspelt: tuple[str, ...]
    links: tuple[str, ...]  # of Kubernetes Services whose names begin like the prefix


def ignored(environment: Mapping[str, str] = os.environ) -> Ignored:  # noqa: TID251 - its home
    """Return the variables that carry the prefix and set nothing."""
    links = service_links(environment, prefix=PREFIX)
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    carry = [name for name in environment if name.startswith(PREFIX) and name not in links]
    misspelt = sorted(name for name in carry if name.upper() not in known)
    return Ignored(tuple(misspelt), tuple(links))
