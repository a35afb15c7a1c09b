"""Connections of blocking callers: opened when needed, kept open, shared by threads."""

from __future__ import annotations

import socket
import time
import weakref
from collections import deque
from collections.abc import Mapping
from contextlib import suppress

from llm_cache._upstash.blocking_connection import BlockingConnection, seconds_left
from llm_cache._upstash.http_messages import (
    ConnectionDropped,
    HttpEndpoint,
    HttpReply,
    HttpRequest,
)
from llm_cache._upstash.http_reply_parser import start_parser
from llm_cache._upstash.socket_connect import connecting_socket
from llm_cache._upstash.tls_trust import tls_context

KEEPALIVE = 60.0  # seconds that an idle connection is kept; a warm function is often idle for some
MOST_IDLE = 100  # connections


def send_request(
    url: str,
    *,
    method: str = "POST",
    headers: Mapping[str, str],
    body: bytes = b"",
    deadline: float,
    direct: bool = False,
) -> HttpReply:
    """Send one request on a new connection, close it, and return the reply.

    ``deadline`` is in seconds of ``time.monotonic``. ``direct``: without a proxy. Raises
    ``StoreTimeout``, ``StoreUnavailable`` or ``StoreGarbled``.
    """
    endpoint = HttpEndpoint.of(url)
    request = HttpRequest(method, endpoint.target, endpoint.authority, headers).encode(body)
    connection = open_connection(endpoint, deadline, direct=direct)
    try:
        return connection.exchange(request, start_parser(), deadline)
    finally:
        connection.close()


class BlockingPool:
    """Open connections to one server. Threads may share it; it closes them when collected."""

    def __init__(self, endpoint: HttpEndpoint) -> None:
        self._endpoint = endpoint
        self._idle: deque[tuple[BlockingConnection, float]] = deque()
        weakref.finalize(self, _close_all, self._idle)

    def send(self, request: bytes, deadline: float) -> HttpReply:
        """Send a request and return its reply.

        Raises ``StoreTimeout``, ``StoreGarbled`` or ``StoreUnavailable``. ``ConnectionDropped``
        closes all idle connections, because they may be dead too.
        """
        connection = self._take_idle() or open_connection(self._endpoint, deadline)
        try:
            reply = connection.exchange(request, start_parser(), deadline)
        except BaseException as error:
            connection.close()
            if isinstance(error, ConnectionDropped):
                _close_all(self._idle)
            raise
        self._keep(connection, reply)
        return reply

    def _take_idle(self) -> BlockingConnection | None:
        """Return the usable connection that was used last; close the unusable ones before it."""
        while self._idle:
            try:
                connection, since = self._idle.pop()
            except IndexError:  # another thread was faster
                break
            if time.monotonic() - since < KEEPALIVE and not connection.is_readable:
                return connection
            connection.close()
        return None

    def _keep(self, connection: BlockingConnection, reply: HttpReply) -> None:
        if not reply.reusable:
            connection.close()
            return
        now = time.monotonic()
        self._idle.append((connection, now))
        with suppress(IndexError):  # another thread was faster
            while len(self._idle) > MOST_IDLE or now - self._idle[0][1] > KEEPALIVE:
                self._idle.popleft()[0].close()


def open_connection(
    endpoint: HttpEndpoint, deadline: float, *, direct: bool = False
) -> BlockingConnection:
    """Return a new connection, with TLS for an ``https`` endpoint; raise ``StoreError``."""
    with connecting_socket(endpoint, deadline, direct=direct) as connecting:
        connected = connecting.result(seconds_left(deadline))
        if endpoint.secure:
            connected = _start_tls(connected, endpoint.host, deadline)
        return BlockingConnection(connected)


def _start_tls(connected: socket.socket, host: str, deadline: float) -> socket.socket:
    secured = tls_context().wrap_socket(
        connected, server_hostname=host, do_handshake_on_connect=False
    )
    try:
        secured.settimeout(seconds_left(deadline))
        secured.do_handshake()
    except BaseException:
        secured.close()
        raise
    return secured


def _close_all(idle: deque[tuple[BlockingConnection, float]]) -> None:
    with suppress(IndexError):  # it is empty; another thread may have taken the last one
        while True:
            idle.popleft()[0].close()
