"""Servers that misbehave on purpose, at the socket."""

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Misbehaviour = Callable[[socket.socket], None]


@contextmanager
def serving(misbehave: Misbehaviour) -> Iterator[str]:
    """Accept connections on a loopback port and hand each to ``misbehave``; yield the address.

    Each connection stays open until ``misbehave`` closes it, or the test is over.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    open_connections: list[socket.socket] = []

    def handle(connection: socket.socket) -> None:
        with suppress(OSError):  # the client hung up, or the test is over
            misbehave(connection)

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            open_connections.append(connection)
            threading.Thread(target=handle, args=(connection,), daemon=True).start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        # shutdown wakes the thread that accepts; close alone would leave it there
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join(60)  # it may have one more connection in hand
        for connection in open_connections:
            connection.close()


def silent(connection: socket.socket) -> None:
    """Read what comes and never answer."""
    while connection.recv(65536):
        pass


def command_of(connection: socket.socket) -> list[str]:
    """Read one request to its end, and return the command it asks for; empty: there is none."""
    head, body = b"", b""
    while not head or len(body) < int(_LENGTH.findall(head)[0]):
        if not (part := connection.recv(65536)):
            return []
        body += part
        if not head and b"\r\n\r\n" in body:
            head, _, body = body.partition(b"\r\n\r\n")
    command: list[str] = json.loads(body)
    return command


_LENGTH = re.compile(rb"(?i)content-length: *(\d+)")


def repeating(connection: socket.socket) -> None:
    """Know no answer, and refuse each other command with an error that repeats what is longest."""
    while command := command_of(connection):
        missing = {"result": ["ZWE=", *[None] * (len(command) - 2)]}
        refusal = {"error": f"ERR not accepted: {max(map(str, command[2:]), key=len)}"}
        told = json.dumps(missing if command[0] == "MGET" else refusal).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(told)}\r\n\r\n"
        connection.sendall(head.encode() + told)
