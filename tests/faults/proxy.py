"""A proxy before the real endpoint that misbehaves when told to, at the socket."""

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

from tests.faults.servers import serving

Forward = Callable[[], bytes]
Fault = Callable[[socket.socket, Forward], None]
"""Is given a connection on which a request has come, and what has the request served."""


@dataclass
class Proxy:
    """Serves each request from the endpoint, but for those that ``fault`` is for.

    ``spare`` is how many requests are still served well before the fault begins.
    """

    target: tuple[str, int]
    url: str = ""
    fault: Fault | None = None
    spare: int = 0
    faulty: int = 0
    """How many requests met the fault."""

    def heal(self) -> None:
        """Serve well from now on."""
        self.fault, self.spare = None, 0

    def handle(self, connection: socket.socket) -> None:
        with closing(connection):
            while request := _request(connection):
                fault = self.fault
                if fault is None or self.spare > 0:
                    self.spare = max(self.spare - 1, 0)
                    connection.sendall(self.forward(request))
                    continue
                self.faulty += 1
                fault(connection, partial(self.forward, request))

    def forward(self, request: bytes) -> bytes:
        with socket.create_connection(self.target) as upstream:
            head, _, body = request.partition(b"\r\n\r\n")
            lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"conn")]
            upstream.sendall(b"\r\n".join([*lines, b"Connection: close", b"", body]))
            reply = b"".join(iter(lambda: upstream.recv(65536), b""))
        head, _, body = reply.partition(b"\r\n\r\n")
        kept = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"conn")]
        return b"\r\n".join([*kept, b"", body])


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


def reset(connection: socket.socket) -> None:
    """Close with a RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
