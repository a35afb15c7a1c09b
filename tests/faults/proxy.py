"""A proxy before the real endpoint that misbehaves when told to, at the socket."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.faults.servers import serving


@dataclass(frozen=True, slots=True)
class Forward:
    """Has a request served by the endpoint."""

    target: tuple[str, int]
    request: bytes

    def __call__(self) -> bytes:
        """Send the whole request and return the reply."""
        head, _, body = self.request.partition(b"\r\n\r\n")
        lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"conn")]
        reply = self._sent(b"\r\n".join([*lines, b"Connection: close", b"", body]))
        head, _, body = reply.partition(b"\r\n\r\n")
        kept = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"conn")]
        return b"\r\n".join([*kept, b"", body])

    def half(self) -> None:
        """Send the head and half of the body, and hang up, as a client does that dies."""
        head, _, body = self.request.partition(b"\r\n\r\n")
        self._sent(head + b"\r\n\r\n" + body[: len(body) // 2], hang_up=True)

    def _sent(self, request: bytes, *, hang_up: bool = False) -> bytes:
        """Send bytes and return what comes until the endpoint closes."""
        with socket.create_connection(self.target) as upstream:
            upstream.sendall(request)
            if hang_up:
                upstream.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: upstream.recv(65536), b""))


Misbehaviour = Callable[[socket.socket, Forward], None]
"""Is given a connection on which a request has come, and what has the request served."""
Greeting = Callable[[socket.socket], socket.socket]
"""Is given a connection that has just been made, and returns it, secured maybe."""


@dataclass
class Proxy:
    """Serves each request from the endpoint, but for what it is told to do instead."""

    target: tuple[str, int]
    greet: Greeting = field(default=lambda connection: connection)
    url: str = ""
    misbehave: Misbehaviour | None = None
    met: int = 0
    """How many connections and requests have come so far."""
    after: int = 0
    begin: Callable[[], None] | None = None
    """Called when ``after`` more requests were served, before the last of them is answered."""
    _idle: set[socket.socket] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _hung_up: int = 0

    @property
    def port(self) -> int:
        port = urlsplit(self.url).port
        assert port
        return port

    def handle(self, raw: socket.socket) -> None:
        self.met += 1
        with closing(self.greet(raw)) as connection:
            hung_up = self._hung_up
            while self._hung_up == hung_up and (request := self._wait(connection)):
                self.met += 1
                if misbehave := self.misbehave:
                    misbehave(connection, Forward(self.target, request))
                    continue
                reply = Forward(self.target, request)()
                self._count_down()
                connection.sendall(reply)

    def hang_up(self) -> None:
        """Close the connections that are open; one that is being served, after its reply."""
        with self._lock:
            self._hung_up += 1
            for connection in self._idle:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def _count_down(self) -> None:
        self.after -= 1
        if self.begin and self.after == 0:
            self.begin()

    def _wait(self, connection: socket.socket) -> bytes:
        with self._lock:
            self._idle.add(connection)
        try:
            return _request(connection)
        finally:
            with self._lock:
                self._idle.discard(connection)


def _request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        if not (chunk := connection.recv(65536)):
            return b""
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            while len(body) < int(line.partition(b":")[2]):
                body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


@contextmanager
def proxying(url: str) -> Iterator[Proxy]:
    """Put a proxy before the endpoint at ``url``."""
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    proxy = Proxy((parts.hostname, parts.port))
    with serving(proxy.handle) as proxy.url:
        yield proxy


@contextmanager
def misbehaving(misbehave: Misbehaviour) -> Iterator[str]:
    """Answer each request so, with no endpoint behind; yield the address."""
    proxy = Proxy(NOWHERE, misbehave=misbehave)
    with serving(proxy.handle) as url:
        yield url


NOWHERE = ("127.0.0.1", 9)


def reset(connection: socket.socket) -> None:
    """Close with a RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
