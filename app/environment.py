"""Environment variables as Kubernetes, compose and env files write them."""

import re
from collections.abc import Mapping
from typing import Final

_QUOTES: Final = frozenset("\"'")

# Variables of one Service in every pod of its namespace; see "Accessing the Service" in the
# Kubernetes documentation. Container links of Docker have the same form.
_LINK_VALUE: Final = re.compile(r"(tcp|udp|sctp)://\S+:\d+")
_LINK_NAME: Final = re.compile(r"(?P<service>\w+)_PORT(_\d+_(TCP|UDP|SCTP))?")
_LINK_SUFFIX: Final = re.compile(
    r"_SERVICE_HOST|_SERVICE_PORT(_\w+)?|_PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?"
)


def plain(value: str) -> str:
    """Return a value without the whitespace and the one pair of quotes around it.

    `docker run --env-file` passes the quotes of a line on, where a shell takes them off.
    """
    bare = value.strip()
    if len(bare) > 1 and bare[0] == bare[-1] and bare[0] in _QUOTES:
        return bare[1:-1].strip()
    return bare


def is_service_link(value: str) -> bool:
    """Return whether a value is the address that a service link gives a port."""
    return _LINK_VALUE.fullmatch(value.strip()) is not None


def service_links(environment: Mapping[str, str], *, prefix: str) -> list[str]:
    """Return the variables with a prefix that a Service of the namespace put there, sorted.

    A Service is known by a port whose value is an address, which no setting has; then its
    other variables are known by their names.
    """
    names = [name for name in environment if name.startswith(prefix)]
    links = [found for name in names if (found := _LINK_NAME.fullmatch(name)) is not None]
    services = {one["service"] for one in links if is_service_link(environment[one[0]])}

    def is_link(name: str, service: str) -> bool:
        if name == f"{service}_PORT":
            return is_service_link(environment[name])  # VITRINE_PORT may be set by hand
        suffix = name.removeprefix(service)
        return suffix != name and _LINK_SUFFIX.fullmatch(suffix) is not None

    return sorted(name for name in names if any(is_link(name, one) for one in services))
