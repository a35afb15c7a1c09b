"""HTTP faults between the cache and Upstash, each as bytes on the socket."""

import gzip
import socket
import time
from collections.abc import Callable
from functools import cache

from tests.faults.faulty_proxy import Forward, Misbehaviour
from tests.faults.socket_servers import reset, send_reply
from tests.faults.socket_servers import silent as read_all

from llm_cache import StoreError, StoreGarbled, StoreRefused, StoreTimeout, StoreUnavailable
from llm_cache._errors import QuotaExceeded

BETWEEN = 0.02  # seconds between two bytes of a slow sender: no single read times out
OK = b"HTTP/1.1 200 OK\r\n"
LONG_BODY = OK + b"Content-Length: 1000000\r\n\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
CHUNK = b"10000\r\n" + b" " * 65536 + b"\r\n"
EARLY_HINT = b"HTTP/1.1 103 Early Hints\r\n\r\n"
QUOTA = "ERR max requests limit exceeded"
HTML = b"<html><body>502 Bad Gateway</body></html>"
ALL_BUT_THE_END = slice(-8)
End = Callable[[socket.socket], None]


def close(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_RDWR)


def without_reply(end: End) -> Misbehaviour:
    """Return a fault that neither runs the command nor replies."""
    return lambda connection, _: end(connection)


def after_running(end: End, part: slice = slice(0)) -> Misbehaviour:
    """Return a fault that runs the command and sends at most a part of its reply."""

    def misbehave(connection: socket.socket, forward: Forward) -> None:
        connection.sendall(forward()[part])
        end(connection)

    return misbehave


def endless(head: bytes, piece: bytes, pause: float = 0) -> Misbehaviour:
    """Return a fault that sends ``head``, and then ``piece`` again and again."""

    def misbehave(connection: socket.socket, forward: Forward) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(piece)
            time.sleep(pause)

    return misbehave


def replying(status: str, body: object, *headers: str) -> Misbehaviour:
    """Return a fault that replies by itself: bytes as they are, any other body as JSON."""
    return lambda connection, _: send_reply(connection, body, status, headers)


def reply_twice(connection: socket.socket, forward: Forward) -> None:
    """Send each reply twice, so that the next request gets this reply."""
    connection.sendall(forward() * 2)


def gzip_bomb(connection: socket.socket, forward: Forward) -> None:
    send_reply(connection, _bomb(), headers=("Content-Encoding: gzip",))


@cache
def _bomb() -> bytes:
    return gzip.compress(b'{"result":"' + b" " * 100_000_000 + b'"}', 1)


silent, run_and_stay_silent = without_reply(read_all), after_running(read_all)
close_without_reply, run_and_close = without_reply(close), after_running(close)


GARBLED = {
    "empty body": b"",
    "invalid UTF-8": b'{"result": "\xff\xfe"}',
    "truncated JSON": b'{"result": ["a", ',
    "JSON array": [1],
    "no result field": {},
    "result too short": {"result": []},
    "result of numbers": {"result": [1, 2, 3, 4]},
    "invalid base64": {"result": ["x", "!"]},
    "3 million values": b'{"result": [' + b"[], " * 2_999_999 + b"[]]}",
    "JSON nested 5 million deep": b'{"result": ' + b"[" * 5_000_000,
}
REFUSED = {
    "wrong token (401)": replying("401 Unauthorized", {"error": "WRONGPASS invalid auth token"}),
    "loading the dataset (400)": replying("400 Bad Request", {"error": "LOADING the dataset"}),
    "result is an object": replying("200 OK", {"result": {"a": 1}}),
}
HTTP_FAULTS: dict[str, tuple[Misbehaviour, type[StoreError] | None]] = {
    "no reply": (silent, StoreTimeout),
    "no reply, command ran": (run_and_stay_silent, StoreTimeout),
    "connection closed": (close_without_reply, StoreUnavailable),
    "connection closed, command ran": (run_and_close, StoreUnavailable),
    "connection reset": (without_reply(reset), StoreUnavailable),
    "connection closed mid-reply": (after_running(close, ALL_BUT_THE_END), StoreUnavailable),
    "connection reset mid-reply": (after_running(reset, ALL_BUT_THE_END), StoreUnavailable),
    "reply stalls halfway": (after_running(read_all, ALL_BUT_THE_END), StoreTimeout),
    "each reply sent twice": (reply_twice, None),
    "endless early hints": (endless(b"", EARLY_HINT * 100), StoreGarbled),
    "headers one byte at a time": (endless(OK, b"a", BETWEEN), StoreTimeout),
    "body one byte at a time": (endless(LONG_BODY, b" ", BETWEEN), StoreTimeout),
    "endless body": (endless(CHUNKED, CHUNK), StoreGarbled),
    "gzip bomb": (gzip_bomb, StoreGarbled),
    "20,000 headers": (
        replying("200 OK", {}, *(f"X-{n}: {n}" for n in range(20_000))),
        StoreGarbled,
    ),
    "HTML (502)": (replying("502 Bad Gateway", HTML), StoreGarbled),
    "redirect (302)": (replying("302 Found", b"", "Location: http://127.0.0.1:9/"), StoreGarbled),
    **{name: (replying("200 OK", body), StoreGarbled) for name, body in GARBLED.items()},
    **{name: (misbehave, StoreRefused) for name, misbehave in REFUSED.items()},
    "quota exceeded (429)": (replying("429 Too Many Requests", {"error": QUOTA}), QuotaExceeded),
}
"""Each fault with the error of a command that meets it; None: the command succeeds."""
