"""The HTTP session lent to components: time limits, and a guard against addresses inside.

An address that comes from outside (a webhook's target, a picture's source) could point at this
machine or its network. So a name is resolved once, every address it has is checked, and the
connection goes to a checked address; redirects are not followed by themselves. Hosts that the
admin wrote into the configuration are allowed by name: most desks live inside.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection, Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NewConnectionError

TIMEOUT = (5.0, 20.0)
"""Seconds to connect and to wait for an answer, where a component says nothing else."""

_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: an IPv4 address in its last 32 bits
_UNICAST = ipaddress.ip_network("2000::/3")  # all that IANA gives out; the library calls more global
_CARRIER_NAT = ipaddress.ip_network("100.64.0.0/10")  # RFC 6598; not "private" to the library


def is_outside(address: str) -> bool:
    """Whether `address` is a public one: not loopback, private, link-local, metadata or multicast."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else None
        ip = inner or ip.ipv4_mapped or ip.sixtofour or ip
    if isinstance(ip, ipaddress.IPv6Address) and ip not in _UNICAST:
        return False
    return ip.is_global and not ip.is_multicast and ip not in _CARRIER_NAT


def _connect(connection: HTTPConnection, allowed: Collection[str]) -> socket.socket:
    host, port = connection.host, connection.port or connection.default_port
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise NewConnectionError(connection, f"{host}: {error}") from error
    addresses = [str(item[4][0]) for item in found]
    if host.lower() not in allowed and not all(is_outside(a) for a in addresses):
        raise NewConnectionError(connection, f"{host} is an address inside; name it in the configuration to allow it")
    last: OSError = OSError("no address")
    for address in addresses:
        try:
            return _opened((address, port), connection)
        except OSError as error:
            last = error
    raise NewConnectionError(connection, f"{host}:{port}: {last}") from last


def _opened(address: tuple[str, int], connection: HTTPConnection) -> socket.socket:
    made = socket.create_connection(address, connection.timeout)
    try:
        for option in connection.socket_options or ():  # TCP_NODELAY: else each POST waits 40 ms for an ACK
            made.setsockopt(*option)
    except OSError:
        made.close()
        raise
    return made


def _guarded(allowed: Collection[str]) -> dict[str, type[HTTPConnectionPool]]:
    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return _connect(self, allowed)

    class Secure(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return _connect(self, allowed)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


class _Adapter(HTTPAdapter):
    def __init__(self, allowed: Collection[str]) -> None:
        self._allowed = allowed
        super().__init__(max_retries=0)  # the hub retries, with its own memory of what was done

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _guarded(self._allowed)

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        if kwargs.get("timeout") is None:
            kwargs["timeout"] = TIMEOUT
        return super().send(request, *args, **kwargs)


class Pace(Protocol):
    """Counts requests for a far side that limits them (hub/pace.py)."""

    def before_request(self) -> None: ...
    def after_request(self, status: int, headers: Mapping[str, str]) -> None: ...


class GuardedSession(requests.Session):
    """A `requests.Session` that never follows redirects unless told so and always has a time limit.

    Its `pace` makes it wait where the far side allows only so many requests.
    """

    def __init__(self, allowed: Collection[str]) -> None:
        super().__init__()
        self.pace: Pace | None = None
        self.trust_env = False  # no proxy and no .netrc from the daemon's environment
        adapter = _Adapter({host.lower() for host in allowed})
        self.mount("http://", adapter)
        self.mount("https://", adapter)

    def get(self, url: str | bytes, **kwargs: Any) -> requests.Response:
        kwargs.setdefault("allow_redirects", False)  # `requests` itself says True here, before `request` is asked
        return super().get(url, **kwargs)

    def options(self, url: str | bytes, **kwargs: Any) -> requests.Response:
        kwargs.setdefault("allow_redirects", False)
        return super().options(url, **kwargs)

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        kwargs.setdefault("allow_redirects", False)
        if self.pace is None:
            return super().request(*args, **kwargs)
        self.pace.before_request()
        answer = super().request(*args, **kwargs)
        self.pace.after_request(answer.status_code, answer.headers)
        return answer


def hosts_in(values: Mapping[str, Any]) -> set[str]:
    """Host names in a section's own addresses: the admin wrote them, so they may lie inside."""
    hosts: set[str] = set()
    for value in values.values():
        if isinstance(value, Mapping):
            hosts |= hosts_in(value)
        elif isinstance(value, str) and "://" in value:
            hosts.add(urlsplit(value).hostname or "")
    return hosts - {""}
