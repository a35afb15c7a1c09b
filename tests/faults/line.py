"""The whole way from a cache to Redis: a name, TLS, a proxy, the endpoint, a real server."""

import socket
import ssl
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.faults.certificates import Authority
from tests.faults.proxy import Greeting, Proxy, proxying
from upstash_redis import Redis

from llm_cache._upstash import asynchronous, blocking
from llm_cache._upstash.credentials import Credentials
from upstash_endpoint.endpoint import UpstashEndpoint
from upstash_endpoint.redis_server import RedisServer

USER = "bench"
RULES = ("on", ">password", "~*", "+@all")
Resolve = Callable[[], str]
"""Returns the address of a name, or raises."""


@dataclass
class Names:
    """Answers for the names of the stations, in place of the resolver."""

    resolve: dict[str, Resolve] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)

    @contextmanager
    def answering(self) -> Iterator[None]:
        real: Callable[..., Any] = socket.getaddrinfo

        def getaddrinfo(host: Any, *rest: Any, **named: Any) -> Any:
            name = host.decode() if isinstance(host, bytes) else host
            if name not in self.resolve:
                return real(host, *rest, **named)
            self.asked[name] += 1
            return real(self.resolve[name](), *rest, **named)

        with patch("socket.getaddrinfo", getaddrinfo):
            yield


@dataclass
class Station:
    """A server and its endpoint, by a name and a certificate of their own."""

    host: str
    server: RedisServer
    upstash: UpstashEndpoint
    authority: Authority
    names: Names
    secure: Greeting

    def __post_init__(self) -> None:
        self.enrol()

    @cached_property
    def token(self) -> str:
        """The token of the user that the cache is."""
        with Redis(self.upstash.url, self.upstash.token) as client:
            return str(client.execute(["ACL", "RESTTOKEN", USER, "password"]))

    @contextmanager
    def line(self) -> Iterator["Line"]:
        """Lay a line to it, and empty its database."""
        self.server.call("FLUSHALL")
        with proxying(self.upstash.url) as proxy:
            proxy.greet = self.secure
            line = Line(self, proxy, Credentials(f"https://{self.host}:{proxy.port}", self.token))
            try:
                yield line
            finally:
                line.end()

    def enrol(self) -> None:
        """Make the user that the cache is; a server that was started anew has none."""
        self.server.call("ACL", "SETUSER", USER, "reset", *RULES)


@contextmanager
def stations(count: int) -> Iterator[list[Station]]:
    """Start so many; what has been patched for them serves them all."""
    with ExitStack() as stack:
        authority = Authority.made(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        trusting = ssl.create_default_context(cafile=str(authority.file))
        for module in (blocking, asynchronous):
            stack.enter_context(patch.object(module, "trusted", lambda: trusting))
        names = Names()
        stack.enter_context(names.answering())
        made = []
        for number in range(count):
            host = f"upstash-{number}.test"
            names.resolve[host], names.asked[host] = at_home, 0
            server = stack.enter_context(RedisServer.start())
            upstash = stack.enter_context(UpstashEndpoint.start(server))
            secure = securing(authority.serving(host))
            made.append(Station(host, server, upstash, authority, names, secure))
        yield made


def at_home() -> str:
    """Return where the proxies are."""
    return "127.0.0.1"


def securing(context: ssl.SSLContext) -> Greeting:
    """Return what begins TLS on a connection that has been made."""
    return lambda connection: context.wrap_socket(connection, server_side=True)


class Line:
    """What a fault may break, and must put right again."""

    def __init__(self, station: Station, proxy: Proxy, at: Credentials) -> None:
        self.station = station
        self.server = station.server
        self.proxy = proxy
        self.at = at
        self._faults = ExitStack()
        self._met_before = 0

    def begin(self, fault: "Fault", *, after: int) -> None:
        """Break the line by ``fault``, once so many more requests were served."""

        def break_it() -> None:
            self._met_before = self._met
            self._faults.enter_context(fault(self))

        if after:
            self.proxy.begin, self.proxy.after = break_it, after
        else:
            break_it()

    def end(self) -> None:
        """Put right what was broken."""
        self.proxy.begin = None
        self._faults.close()

    @property
    def met(self) -> int:
        """How many requests, connections and resolutions of the name have met the fault."""
        return self._met - self._met_before

    @property
    def _met(self) -> int:
        return self.proxy.met + self.station.names.asked[self.station.host]

    def resolve(self, resolve: Resolve) -> None:
        """Answer for the name in another way from now on."""
        self.station.names.resolve[self.station.host] = resolve


Fault = Callable[[Line], AbstractContextManager[object]]
