"""One exchange over a blocking socket, bounded as a whole."""

from __future__ import annotations

import socket
import time
from contextlib import suppress

from llm_cache.errors import StoreTimeout
from llm_cache.upstash.exchange import Dropped, Reading, Reply

PIECE = 65_536  # bytes that are read or written between two looks at the clock


def left(until: float) -> float:
    """Return the seconds until the deadline; raise ``StoreTimeout`` when there are none."""
    seconds = until - time.monotonic()
    if seconds <= 0:
        raise StoreTimeout("no answer from Upstash in time")
    return seconds


def exchanged(connected: socket.socket, request: bytes, reading: Reading, until: float) -> Reply:
    """Send a request and return its reply; raise ``StoreTimeout``, ``Dropped``, ``StoreGarbled``.

    ``until`` is in seconds of ``time.monotonic``.
    """
    try:
        with suppress(ConnectionError):  # a server may refuse, and close, before it has read all
            _send(connected, request, until)
        while True:
            connected.settimeout(left(until))
            reading.send(connected.recv(PIECE))
    except StopIteration as done:
        reply: Reply = done.value
        return reply
    except TimeoutError:
        raise StoreTimeout("no answer from Upstash in time") from None
    except OSError as error:
        raise Dropped(f"no connection to Upstash ({type(error).__name__})") from error


def _send(connected: socket.socket, request: bytes, until: float) -> None:
    unsent = memoryview(request)
    while unsent:
        connected.settimeout(left(until))
        unsent = unsent[connected.send(unsent[:PIECE]) :]
