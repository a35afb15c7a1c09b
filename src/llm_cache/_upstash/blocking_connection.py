"""One open connection of a blocking caller, with a deadline for each exchange."""

from __future__ import annotations

import select
import socket
import ssl
import time
from contextlib import suppress

from llm_cache._errors import StoreTimeout
from llm_cache._upstash.http_messages import ConnectionDropped, HttpReply
from llm_cache._upstash.http_reply_parser import ReplyParser

PIECE = 65_536  # bytes that are read or written between two checks of the deadline
_WAIT = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


def seconds_left(deadline: float) -> float:
    """Return the seconds until ``deadline``, of ``time.monotonic``; raise ``StoreTimeout`` at 0."""
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise StoreTimeout("no reply from Upstash within the time allowed")
    return seconds


class BlockingConnection:
    """A connected socket, plain or with TLS.

    The socket never blocks: a socket with a timeout takes twice the system calls in Python.
    """

    def __init__(self, connected: socket.socket) -> None:
        connected.setblocking(False)  # noqa: FBT003  the name of the standard library
        self.socket = connected
        self._poll = select.poll()
        self._poll.register(connected, select.POLLIN)

    @property
    def is_readable(self) -> bool:
        """Whether the server has closed, or sent bytes without a request, since the last reply."""
        return bool(self._poll.poll(0))

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()

    def exchange(self, request: bytes, parser: ReplyParser, deadline: float) -> HttpReply:
        """Send a request and return its reply.

        Raises ``StoreTimeout``, ``ConnectionDropped`` or ``StoreGarbled``.
        """
        try:
            # A server may refuse a request, and close, before it has read all of it.
            with suppress(ConnectionError):
                self._send(request, deadline)
            while True:
                parser.send(self._receive(deadline))
        except StopIteration as done:
            reply: HttpReply = done.value
            return reply
        except OSError as error:
            kind = type(error).__name__
            raise ConnectionDropped(f"no connection to Upstash ({kind})") from error

    def _send(self, request: bytes, deadline: float) -> None:
        unsent = memoryview(request)
        while unsent:
            try:
                unsent = unsent[self.socket.send(unsent[:PIECE]) :]
            except _WAIT as wait:
                self._wait(deadline, writing=not isinstance(wait, ssl.SSLWantReadError))

    def _receive(self, deadline: float) -> bytes:
        # A poll does not see bytes that TLS has decrypted already.
        if not isinstance(self.socket, ssl.SSLSocket) or not self.socket.pending():
            self._wait(deadline)
        while True:
            with suppress(*_WAIT):
                return self.socket.recv(PIECE)
            self._wait(deadline)

    def _wait(self, deadline: float, *, writing: bool = False) -> None:
        """Wait until the socket is ready; raise ``StoreTimeout`` if the deadline has passed."""
        milliseconds = 1000 * seconds_left(deadline)
        if not writing:
            self._poll.poll(milliseconds)
            return
        self._poll.modify(self.socket, select.POLLOUT)
        self._poll.poll(milliseconds)
        self._poll.modify(self.socket, select.POLLIN)
