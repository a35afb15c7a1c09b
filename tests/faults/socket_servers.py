"""Loopback servers for HTTP faults at the socket, and the reading and writing they share."""

import json
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_LENGTH = re.compile(rb"(?i)content-length: *(\d+)")


@contextmanager
def serving(handle: Callable[[socket.socket], None]) -> Iterator[str]:
    """Pass each connection on a loopback port to ``handle``; yield the address.

    A connection stays open until ``handle`` closes it or the block ends.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    open_connections: list[socket.socket] = []

    def handle_one(connection: socket.socket) -> None:
        with suppress(OSError):  # the client closed, or the block ended
            handle(connection)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                open_connections.append(connection)
                threading.Thread(target=handle_one, args=(connection,), daemon=True).start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)  # wakes accept(); close() alone would not
        listener.close()
        accepting.join(60)  # it may still hold one connection
        for connection in open_connections:
            connection.close()


def silent(connection: socket.socket) -> None:
    """Read everything and never reply."""
    while connection.recv(65536):
        pass


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def copy_until_closed(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_RDWR)


def read_request(connection: socket.socket) -> bytes:
    """Return one whole request, or nothing if the client closed."""
    head, body = b"", b""
    while b"\r\n\r\n" not in head:
        if not (data := connection.recv(65536)):
            return b""
        head += data
    head, _, body = head.partition(b"\r\n\r\n")
    for length in _LENGTH.findall(head):
        while len(body) < int(length) and (data := connection.recv(65536)):
            body += data
    return head + b"\r\n\r\n" + body


def read_command(connection: socket.socket) -> list[str]:
    """Return the Redis command of one request, or nothing if the client closed."""
    command: list[str] = json.loads(read_request(connection).partition(b"\r\n\r\n")[2] or "[]")
    return command


def send_reply(
    connection: socket.socket, body: object, status: str = "200 OK", headers: tuple[str, ...] = ()
) -> None:
    """Send one HTTP reply: a body of bytes as it is, any other as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = (f"HTTP/1.1 {status}", f"Content-Length: {len(content)}", *headers, "", "")
    connection.sendall("\r\n".join(lines).encode() + content)
