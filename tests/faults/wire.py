"""What goes wrong between the cache and Upstash, each as what comes over the socket."""

import gzip
import json
import socket
import threading

from tests.faults import servers
from tests.faults.proxy import Forward, Misbehaviour, reset

RETRY_PAUSE = 0.02  # seconds between two bytes of a drip: never long enough for a read to time out
_over = threading.Event()  # what hangs, hangs on this; nothing ever sets it


def silent(connection: socket.socket, forward: Forward) -> None:
    """Never answer."""
    servers.silent(connection)


def silent_after_it_ran(connection: socket.socket, forward: Forward) -> None:
    """Run the command, and never answer."""
    forward()
    servers.silent(connection)


def hanging_up(connection: socket.socket, forward: Forward) -> None:
    """Close without a word."""
    connection.shutdown(socket.SHUT_RDWR)


def hanging_up_after_it_ran(connection: socket.socket, forward: Forward) -> None:
    """Run the command, and close without a word."""
    forward()
    connection.shutdown(socket.SHUT_RDWR)


def resetting(connection: socket.socket, forward: Forward) -> None:
    """Answer with a RST."""
    reset(connection)


def half_a_reply(connection: socket.socket, forward: Forward) -> None:
    """Run the command, send half of its reply, and close."""
    reply = forward()
    connection.sendall(reply[: len(reply) - 8])
    connection.shutdown(socket.SHUT_RDWR)


def hanging_in_the_body(connection: socket.socket, forward: Forward) -> None:
    """Run the command, send half of its reply, and hang."""
    reply = forward()
    connection.sendall(reply[: len(reply) - 8])
    servers.silent(connection)


def dripping_head(connection: socket.socket, forward: Forward) -> None:
    """Send headers without end, a byte at a time."""
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while not _over.wait(RETRY_PAUSE):
        connection.sendall(b"a")


def dripping_body(connection: socket.socket, forward: Forward) -> None:
    """Send a body without end, a byte at a time."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while not _over.wait(RETRY_PAUSE):
        connection.sendall(b" ")


def repeating_itself(connection: socket.socket, forward: Forward) -> None:
    """Answer each request twice, and so the next one with what was meant for this one."""
    reply = forward()
    connection.sendall(reply + reply)


def resetting_in_the_body(connection: socket.socket, forward: Forward) -> None:
    """Run the command, send half of its reply, and then a RST."""
    reply = forward()
    connection.sendall(reply[: len(reply) - 8])
    reset(connection)


def informing_without_end(connection: socket.socket, forward: Forward) -> None:
    """Say that the answer is on its way (103), for ever."""
    while True:
        connection.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100)


def endless_body(connection: socket.socket, forward: Forward) -> None:
    """Send a body without end, as fast as it is read."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    piece = b"10000\r\n" + b" " * 65536 + b"\r\n"
    while True:
        connection.sendall(piece)


def gzip_bomb(connection: socket.socket, forward: Forward) -> None:
    """Send what a client that decompresses would make a hundred megabytes of."""
    _send(connection, "200 OK", _BOMB, "Content-Encoding: gzip\r\n")


_BOMB = gzip.compress(b'{"result":"' + b" " * 100_000_000 + b'"}')


def replying(status: str, body: object, *headers: str) -> Misbehaviour:
    """Answer with a reply of its own: bytes as they are, anything else as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()

    def reply(connection: socket.socket, forward: Forward) -> None:
        _send(connection, status, data, "".join(f"{header}\r\n" for header in headers))

    return reply


def _send(connection: socket.socket, status: str, body: bytes, headers: str = "") -> None:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    connection.sendall(head.encode() + body)


HTML = b"<html><body>502 Bad Gateway</body></html>"

WIRE: dict[str, Misbehaviour] = {
    "silent": silent,
    "silent after it ran": silent_after_it_ran,
    "hanging up": hanging_up,
    "hanging up after it ran": hanging_up_after_it_ran,
    "a reset": resetting,
    "half a reply": half_a_reply,
    "hanging in the body": hanging_in_the_body,
    "a reset in the body": resetting_in_the_body,
    "each reply twice": repeating_itself,
    "early hints without end": informing_without_end,
    "dripping headers": dripping_head,
    "a dripping body": dripping_body,
    "a body without end": endless_body,
    "a gzip bomb": gzip_bomb,
    "HTML": replying("502 Bad Gateway", HTML),
    "no body": replying("200 OK", b""),
    "not UTF-8": replying("200 OK", b'{"result": "\xff\xfe"}'),
    "truncated JSON": replying("200 OK", b'{"result": ["a", '),
    "JSON, but no object": replying("200 OK", [1]),
    "an object without a result": replying("200 OK", {}),
    "a result of another shape": replying("200 OK", {"result": {"a": 1}}),
    "a result that is too short": replying("200 OK", {"result": []}),
    "numbers for a result": replying("200 OK", {"result": [1, 2, 3, 4]}),
    "wrong base64": replying("200 OK", {"result": ["x", "!"]}),
    "headers without end": replying("200 OK", {}, *(f"X-{n}: {n}" for n in range(20_000))),
    "very many values": replying("200 OK", {"result": [[]] * 3_000_000}),
    "very deep": replying("200 OK", b'{"result": ' + b"[" * 5_000_000),
    "a redirect": replying("302 Found", b"", "Location: http://127.0.0.1:9/"),
    "401": replying("401 Unauthorized", {"error": "WRONGPASS invalid or missing auth token"}),
    "429": replying("429 Too Many Requests", {"error": "ERR max requests limit exceeded"}),
    "loading": replying("400 Bad Request", {"error": "LOADING Redis is loading the dataset"}),
}
