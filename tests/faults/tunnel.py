"""A proxy that connects to where it is asked to, as ``HTTPS_PROXY`` names one."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from tests.faults.servers import serving


@dataclass
class Tunnel:
    """Answers ``CONNECT`` with ``reply``; a success leads to ``target``, whatever was named."""

    target: tuple[str, int]
    reply: bytes = b"HTTP/1.1 200 Connection established\r\n\r\n"
    url: str = ""
    asked: list[bytes] = field(default_factory=list)

    def handle(self, client: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            if not (data := client.recv(65536)):
                return
            head += data
        self.asked.append(head)
        if not self.reply:
            client.recv(1)  # it hangs until its client leaves
            return
        client.sendall(self.reply)
        if b" 200 " not in self.reply:
            client.shutdown(socket.SHUT_RDWR)
            return
        with socket.create_connection(self.target) as server:
            threading.Thread(target=_pump, args=(client, server), daemon=True).start()
            _pump(server, client)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_RDWR)


@contextmanager
def tunnelling(target: tuple[str, int]) -> Iterator[Tunnel]:
    """Start a proxy that leads to ``target``."""
    tunnel = Tunnel(target)
    with serving(tunnel.handle) as tunnel.url:
        yield tunnel
