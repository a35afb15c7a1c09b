"""Connections for callers that block: opened when needed, kept open, shared by threads."""

from __future__ import annotations

import socket
import time
import weakref
from collections import deque
from collections.abc import Mapping
from contextlib import suppress

from llm_cache._upstash.connecting import Origin, dialling
from llm_cache._upstash.connection import Connection, left
from llm_cache._upstash.http_exchange import Dropped, Reply, Request, start_reading
from llm_cache._upstash.trust import trusted

KEEPALIVE = 60.0  # seconds that an idle connection is kept; a warm function is often idle for some
MOST_IDLE = 100  # connections


def fetch(
    url: str,
    *,
    method: str = "POST",
    headers: Mapping[str, str],
    body: bytes = b"",
    until: float,
    direct: bool = False,
) -> Reply:
    """Send one request on a connection of its own and return the reply.

    ``until``: the deadline of the whole, in seconds of ``time.monotonic``. ``direct``: without a
    proxy. Raises ``StoreTimeout``, ``StoreUnavailable`` or ``StoreGarbled``.
    """
    origin = Origin.of(url)
    request = Request(method, origin.target, origin.authority, headers).encode(body)
    connection = opened(origin, until, direct=direct)
    try:
        return connection.exchange(request, start_reading(), until)
    finally:
        connection.close()


class Connections:
    """Open connections to one server. Threads may share it; it closes them when collected."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._idle: deque[tuple[Connection, float]] = deque()
        weakref.finalize(self, _close, self._idle)

    def send(self, request: bytes, until: float) -> Reply:
        """Send a request and return its reply.

        Raises ``StoreTimeout``, ``StoreGarbled``, or ``StoreUnavailable``. The last is ``Dropped``
        when the connection broke; then all idle connections are closed, since they may be dead too.
        """
        connection = self._taken() or opened(self._origin, until)
        try:
            reply = connection.exchange(request, start_reading(), until)
        except BaseException as error:
            connection.close()
            if isinstance(error, Dropped):
                _close(self._idle)
            raise
        self._keep(connection, reply)
        return reply

    def _taken(self) -> Connection | None:
        """Return an idle connection on which nothing has come, the latest used first."""
        while self._idle:
            try:
                connection, since = self._idle.pop()
            except IndexError:  # another thread was faster
                break
            if time.monotonic() - since < KEEPALIVE and not connection.out_of_step:
                return connection
            connection.close()
        return None

    def _keep(self, connection: Connection, reply: Reply) -> None:
        if not reply.reusable:
            connection.close()
            return
        now = time.monotonic()
        self._idle.append((connection, now))
        with suppress(IndexError):  # another thread was faster
            while len(self._idle) > MOST_IDLE or now - self._idle[0][1] > KEEPALIVE:
                self._idle.popleft()[0].close()


def opened(origin: Origin, until: float, *, direct: bool = False) -> Connection:
    """Return a new connection, secured if the origin is; raise ``StoreError``."""
    with dialling(origin, until, direct=direct) as opening:
        connected = opening.result(left(until))
        if origin.secure:
            connected = _secured(connected, origin.host, until)
        return Connection(connected)


def _secured(connection: socket.socket, host: str, until: float) -> socket.socket:
    """Complete a TLS handshake that verifies the server."""
    secured = trusted().wrap_socket(connection, server_hostname=host, do_handshake_on_connect=False)
    try:
        secured.settimeout(left(until))
        secured.do_handshake()
    except BaseException:
        secured.close()
        raise
    return secured


def _close(idle: deque[tuple[Connection, float]]) -> None:
    with suppress(IndexError):  # it is empty; another thread may have taken the last one
        while True:
            idle.popleft()[0].close()
