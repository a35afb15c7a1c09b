"""A proxy in front of the real endpoint that a test can make fail."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.faults.socket_servers import read_request, serving

NOWHERE = ("127.0.0.1", 9)


@dataclass(frozen=True, slots=True)
class Forward:
    """Forwards one request to the endpoint."""

    target: tuple[str, int]
    request: bytes

    def __call__(self) -> bytes:
        """Send the whole request and return the reply."""
        head, _, body = self.request.partition(b"\r\n\r\n")
        request = b"\r\n".join([*_without_connection(head), b"Connection: close", b"", body])
        head, _, body = self._send(request).partition(b"\r\n\r\n")
        return b"\r\n".join([*_without_connection(head), b"", body])

    def half(self) -> None:
        """Send the head and half of the body, and close, as a dying client does."""
        head, _, body = self.request.partition(b"\r\n\r\n")
        self._send(head + b"\r\n\r\n" + body[: len(body) // 2], close=True)

    def _send(self, request: bytes, *, close: bool = False) -> bytes:
        with socket.create_connection(self.target) as upstream:
            upstream.sendall(request)
            if close:
                upstream.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: upstream.recv(65536), b""))


def _without_connection(head: bytes) -> list[bytes]:
    return [line for line in head.split(b"\r\n") if not line.lower().startswith(b"conn")]


Misbehaviour = Callable[[socket.socket, Forward], None]
"""Handles a connection with one request on it, instead of the proxy."""
Handshake = Callable[[socket.socket], socket.socket]
"""Prepares a new connection and returns it, maybe wrapped in TLS."""


@dataclass
class FaultyProxy:
    """Forwards each request to the endpoint, unless ``misbehave`` is set."""

    target: tuple[str, int]
    handshake: Handshake = field(default=lambda connection: connection)
    url: str = ""
    misbehave: Misbehaviour | None = None
    met: int = 0
    """Connections and requests so far."""
    begin: Callable[[], None] | None = None
    _after: int = 0
    _idle: set[socket.socket] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _closings: int = 0

    @property
    def port(self) -> int:
        port = urlsplit(self.url).port
        assert port
        return port

    def call_after(self, requests: int, begin: Callable[[], None]) -> None:
        """Call ``begin`` when so many more requests have run, before the reply to the last."""
        self.begin, self._after = begin, requests

    def handle(self, raw: socket.socket) -> None:
        self.met += 1
        with closing(self.handshake(raw)) as connection:
            closings = self._closings
            while self._closings == closings and (request := self._next_request(connection)):
                self.met += 1
                forward = Forward(self.target, request)
                if self.misbehave:
                    self.misbehave(connection, forward)
                    continue
                reply = forward()
                self._count_down()
                connection.sendall(reply)

    def close_connections(self) -> None:
        """Close all open connections; a busy one closes after its reply."""
        with self._lock:
            self._closings += 1
            for connection in self._idle:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def _count_down(self) -> None:
        self._after -= 1
        if self.begin and self._after == 0:
            self.begin()

    def _next_request(self, connection: socket.socket) -> bytes:
        with self._lock:
            self._idle.add(connection)
        try:
            return read_request(connection)
        finally:
            with self._lock:
                self._idle.discard(connection)


@contextmanager
def faulty_proxy(url: str) -> Iterator[FaultyProxy]:
    """Start a proxy in front of the endpoint at ``url``."""
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    proxy = FaultyProxy((parts.hostname, parts.port))
    with serving(proxy.handle) as proxy.url:
        yield proxy


@contextmanager
def misbehaving(misbehave: Misbehaviour) -> Iterator[str]:
    """Handle every request by ``misbehave``, without an endpoint; yield the address."""
    with serving(FaultyProxy(NOWHERE, misbehave=misbehave).handle) as url:
        yield url
