"""One open connection of a caller that blocks, each of its exchanges bounded as a whole."""

from __future__ import annotations

import select
import socket
import ssl
import time
from contextlib import suppress

from llm_cache._errors import StoreTimeout
from llm_cache._upstash.http_exchange import Dropped, Reading, Reply

PIECE = 65_536  # bytes that are read or written between two looks at the clock
_WAIT = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


def left(until: float) -> float:
    """Return the seconds until the deadline; raise ``StoreTimeout`` when there are none."""
    seconds = until - time.monotonic()
    if seconds <= 0:
        raise StoreTimeout("no answer from Upstash in time")
    return seconds


class Connection:
    """A connected socket, plain or secured.

    It never blocks: what Python does for a socket with a timeout takes twice the system calls.
    """

    def __init__(self, connected: socket.socket) -> None:
        connected.setblocking(False)  # noqa: FBT003  the name of the standard library
        self.socket = connected
        self._poll = select.poll()
        self._poll.register(connected, select.POLLIN)

    @property
    def out_of_step(self) -> bool:
        """Whether the server has closed, or sent what nobody asked for, since the last reply."""
        return bool(self._poll.poll(0))

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()

    def exchange(self, request: bytes, reading: Reading, until: float) -> Reply:
        """Send a request and return its reply.

        ``until`` is in seconds of ``time.monotonic``. Raises ``StoreTimeout``, ``Dropped`` or
        ``StoreGarbled``.
        """
        try:
            # A server may refuse, and close, before it has read all.
            with suppress(ConnectionError):
                self._send(request, until)
            while True:
                reading.send(self._receive(until))
        except StopIteration as done:
            reply: Reply = done.value
            return reply
        except OSError as error:
            raise Dropped(f"no connection to Upstash ({type(error).__name__})") from error

    def _send(self, request: bytes, until: float) -> None:
        unsent = memoryview(request)
        while unsent:
            try:
                unsent = unsent[self.socket.send(unsent[:PIECE]) :]
            except _WAIT as wait:
                self._wait(until, writing=not isinstance(wait, ssl.SSLWantReadError))

    def _receive(self, until: float) -> bytes:
        # What TLS has decrypted already, no poll tells of.
        if not isinstance(self.socket, ssl.SSLSocket) or not self.socket.pending():
            self._wait(until)
        while True:
            with suppress(*_WAIT):
                return self.socket.recv(PIECE)
            self._wait(until)

    def _wait(self, until: float, *, writing: bool = False) -> None:
        """Wait until the socket is ready; raise ``StoreTimeout`` when no time is left for that."""
        milliseconds = 1000 * left(until)
        if not writing:
            self._poll.poll(milliseconds)
            return
        self._poll.modify(self.socket, select.POLLOUT)
        self._poll.poll(milliseconds)
        self._poll.modify(self.socket, select.POLLIN)
