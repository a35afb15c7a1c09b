"""Sockets for httpx whose every wait ends at one deadline, that of the whole call.

httpx bounds each wait by itself, so whoever sends a byte now and then, or resolves a name slowly,
holds its caller for as long as it likes.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterable
from concurrent.futures import Future
from contextvars import ContextVar
from typing import Any

import httpcore
import httpx

_deadline: ContextVar[float] = ContextVar("llm_cache_network_deadline")


def allow(seconds: float) -> None:
    """Let what this context does on the network from now on take so long in all."""
    _deadline.set(time.monotonic() + seconds)


def bound(client: httpx.Client) -> None:
    """Have a client's sockets keep to the deadline, those of its proxies too."""
    for transport in (client._transport, *client._mounts.values()):
        if isinstance(transport, httpx.HTTPTransport):
            transport._pool._network_backend = _Backend()


def _left(late: type[Exception]) -> float:
    """Return the seconds left; raise ``late`` when there are none."""
    seconds = _deadline.get() - time.monotonic()
    if seconds <= 0:
        raise late("no time left")
    return seconds


class _Backend(httpcore.NetworkBackend):
    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002  the deadline's is meant for the whole
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect in a thread: nothing else bounds the resolver, or a name of many addresses."""
        seconds = _left(httpcore.ConnectTimeout)
        connecting: Future[httpcore.NetworkStream] = Future()

        def connect() -> None:
            backend = httpcore.SyncBackend()
            try:
                stream = backend.connect_tcp(host, port, seconds, local_address, socket_options)
            except Exception as error:  # noqa: BLE001  it is raised where the caller waits
                connecting.set_exception(error)
            else:
                connecting.set_result(stream)

        threading.Thread(target=connect, daemon=True).start()
        try:
            return _Stream(connecting.result(seconds))
        except TimeoutError:
            connecting.add_done_callback(_close)
            raise httpcore.ConnectTimeout("no connection in time") from None


def _close(connecting: Future[httpcore.NetworkStream]) -> None:
    if connecting.exception() is None:
        connecting.result().close()


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        return self._stream.read(max_bytes, _left(httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        """Write, a piece at a time, since a reader may take them one byte at a time."""
        for start in range(0, len(buffer), _PIECE):
            self._stream.write(buffer[start : start + _PIECE], _left(httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        seconds = _left(httpcore.ConnectTimeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, seconds))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


_PIECE = 65_536  # bytes
