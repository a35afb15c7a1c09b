"""The whole route from a cache to Redis: name, TLS, proxy, endpoint, real server."""

import socket
import ssl
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.faults.certificate_authority import Authority
from tests.faults.faulty_proxy import FaultyProxy, Handshake, faulty_proxy
from upstash_redis import Redis

from llm_cache import StoreError
from llm_cache._upstash import async_pool, blocking_pool
from llm_cache._upstash.credentials import Credentials
from upstash_endpoint.endpoint import UpstashEndpoint
from upstash_endpoint.redis_server import RedisServer

USER = "bench"
CREATE_USER = ("ACL", "SETUSER", USER, "reset", "on", ">password", "~*", "+@all")
Resolve = Callable[[], str]
"""Returns the address of a name, or raises."""
Begin = Callable[["Route"], AbstractContextManager[object]]
"""Breaks a route while its context is open."""


def loopback() -> str:
    return "127.0.0.1"


def tls_handshake(context: ssl.SSLContext) -> Handshake:
    return lambda connection: context.wrap_socket(connection, server_side=True)


@dataclass
class Host:
    """A server and its endpoint, under their own name and certificate."""

    name: str
    server: RedisServer
    upstash: UpstashEndpoint
    authority: Authority
    handshake: Handshake
    resolve: Resolve = loopback
    resolutions: int = 0

    def __post_init__(self) -> None:
        self.create_user()

    @cached_property
    def token(self) -> str:
        """The token of USER, as which the cache connects."""
        with Redis(self.upstash.url, self.upstash.token) as client:
            return str(client.execute(["ACL", "RESTTOKEN", USER, "password"]))

    def create_user(self) -> None:
        """Create USER with all permissions; a restarted server has lost the user."""
        self.server.call(*CREATE_USER)

    @contextmanager
    def route(self) -> Iterator["Route"]:
        """Empty the database and open a route to it."""
        self.server.call("FLUSHALL")
        with faulty_proxy(self.upstash.url) as proxy:
            proxy.handshake = self.handshake
            route = Route(self, proxy, Credentials(f"https://{self.name}:{proxy.port}", self.token))
            try:
                yield route
            finally:
                route.end()


@contextmanager
def hosts(count: int) -> Iterator[list[Host]]:
    """Start hosts; the clients of this process resolve their names and trust them."""
    with ExitStack() as stack:
        authority = Authority.create(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        trusting = ssl.create_default_context(cafile=str(authority.file))
        for module in (blocking_pool, async_pool):
            stack.enter_context(patch.object(module, "tls_context", lambda: trusting))
        started: dict[str, Host] = {}
        stack.enter_context(_resolving(started))
        for name in (f"upstash-{number}.test" for number in range(count)):
            server = stack.enter_context(RedisServer.start())
            upstash = stack.enter_context(UpstashEndpoint.start(server))
            handshake = tls_handshake(authority.server_context(name))
            started[name] = Host(name, server, upstash, authority, handshake)
        yield [*started.values()]


@contextmanager
def _resolving(hosts: dict[str, Host]) -> Iterator[None]:
    """Resolve the names of hosts by their ``resolve``; the system resolves any other name."""
    real: Callable[..., Any] = socket.getaddrinfo

    def getaddrinfo(name: Any, *rest: Any, **options: Any) -> Any:
        if host := hosts.get(name.decode() if isinstance(name, bytes) else name):
            host.resolutions += 1
            name = host.resolve()
        return real(name, *rest, **options)

    with patch("socket.getaddrinfo", getaddrinfo):
        yield


class Route:
    """One route to a host; a fault breaks it and restores it."""

    def __init__(self, host: Host, proxy: FaultyProxy, credentials: Credentials) -> None:
        self.host = host
        self.server = host.server
        self.proxy = proxy
        self.credentials = credentials
        self._faults = ExitStack()
        self._met_before = 0

    def begin(self, fault: Begin, *, after: int) -> None:
        """Begin a fault once ``after`` more requests have run."""

        def begin_now() -> None:
            self._met_before = self._met
            self._faults.enter_context(fault(self))

        if after:
            self.proxy.call_after(after, begin_now)
        else:
            begin_now()

    def end(self) -> None:
        self.proxy.begin = None
        self._faults.close()

    @property
    def met(self) -> int:
        """Requests, connections and name resolutions that have met the fault."""
        return self._met - self._met_before

    @property
    def _met(self) -> int:
        return self.proxy.met + self.host.resolutions


@dataclass(frozen=True, slots=True)
class Fault:
    begin: Begin
    error: type[StoreError] | None
    """The error of ``clear``, ``delete`` and ``reclaim``; None: they succeed."""
    readable: bool = False
    """Whether a lookup still hits."""
    loses_data: bool = False
