"""How a socket is connected: resolve the name, try its addresses, ask a proxy for a tunnel.

All of it blocks, so it runs in a thread: nothing else bounds the time of the system's resolver.
Blocking and asynchronous callers then start TLS on the socket themselves.
"""

from __future__ import annotations

import selectors
import socket
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from llm_cache._errors import InvalidSettings, StoreTimeout, StoreUnavailable
from llm_cache._protocol.daemon_thread import in_daemon_thread
from llm_cache._upstash.blocking_connection import BlockingConnection, seconds_left
from llm_cache._upstash.http_messages import SUCCESS, HttpEndpoint, HttpRequest
from llm_cache._upstash.http_reply_parser import start_parser

NEXT_ADDRESS = 0.25  # seconds until another address is tried as well (RFC 8305, section 8)


@contextmanager
def connecting_socket(
    endpoint: HttpEndpoint, deadline: float, *, direct: bool = False
) -> Iterator[Future[socket.socket]]:
    """Connect a socket in a thread; the block waits for it, and starts TLS on it.

    If the block fails, the socket is closed, also if it connects later. ``deadline`` is in seconds
    of ``time.monotonic``. ``direct``: never through a proxy. Network errors of the block are raised
    as ``StoreTimeout`` or ``StoreUnavailable``.
    """
    connecting = in_daemon_thread(
        lambda: _connect(endpoint, deadline, None if direct else _proxy(endpoint))
    )
    try:
        yield connecting
    except BaseException as error:
        connecting.add_done_callback(_close)
        if isinstance(error, TimeoutError):
            raise StoreTimeout("no connection to Upstash within the time allowed") from None
        if isinstance(error, OSError):
            kind = type(error).__name__
            raise StoreUnavailable(f"no connection to Upstash ({kind})") from error
        raise


def _close(connected: Future[socket.socket]) -> None:
    if connected.exception() is None:
        connected.result().close()


class _Proxy(NamedTuple):
    host: str
    port: int
    authorization: str


def _proxy(endpoint: HttpEndpoint) -> _Proxy | None:
    """Return the proxy of ``HTTPS_PROXY``, or ``ALL_PROXY``, unless ``NO_PROXY`` names the host.

    A plain ``http`` URL never uses a proxy: it is for servers on this machine.
    """
    if not endpoint.secure:
        return None
    from urllib.request import getproxies_environment, proxy_bypass

    proxies = getproxies_environment()
    url = proxies.get("https") or proxies.get("all")
    if not url or proxy_bypass(endpoint.host):
        return None
    with suppress(ValueError):
        parts = urlsplit(url if "//" in url else f"http://{url}")
        if parts.scheme == "http" and parts.hostname:
            user = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
            token = b64encode(user.encode()).decode() if parts.username is not None else ""
            return _Proxy(parts.hostname, parts.port or 80, token)
    raise InvalidSettings("HTTPS_PROXY", "…", "http://host:port, or http://user:password@host:port")


def _connect(endpoint: HttpEndpoint, deadline: float, proxy: _Proxy | None) -> socket.socket:
    host, port = (proxy.host, proxy.port) if proxy else (endpoint.host, endpoint.port)
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    connected = _connect_to_first(list(dict.fromkeys(found)), deadline)
    try:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if proxy:
            _open_tunnel(connected, endpoint, proxy, deadline)
    except BaseException:
        connected.close()
        raise
    return connected


def _connect_to_first(addresses: list[tuple[object, ...]], deadline: float) -> socket.socket:
    """Connect to the first address that responds; slow addresses are tried in parallel."""
    error: OSError = OSError("no address")
    with selectors.DefaultSelector() as pending:
        try:
            while addresses or pending.get_map():
                if addresses:
                    error = _start_connect(addresses.pop(0), pending) or error
                left = seconds_left(deadline)
                wait = min(left, NEXT_ADDRESS) if addresses else left
                for key, _ in pending.select(wait if pending.get_map() else 0):
                    attempt: socket.socket = key.data
                    pending.unregister(attempt)
                    code = attempt.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                    if not code:
                        return attempt
                    attempt.close()
                    error = OSError(code, "connection failed")
        finally:
            for key in pending.get_map().values():
                key.data.close()
    raise error


def _start_connect(address: tuple[object, ...], pending: selectors.BaseSelector) -> OSError | None:
    """Begin to connect to one address; return the error if that fails at once."""
    family, kind, protocol, _, where = address
    attempt = socket.socket(family, kind, protocol)  # type: ignore[arg-type]
    attempt.setblocking(False)  # noqa: FBT003  the name of the standard library
    try:
        with suppress(BlockingIOError):
            attempt.connect(where)  # type: ignore[arg-type]
    except OSError as error:
        attempt.close()
        return error
    pending.register(attempt, selectors.EVENT_WRITE, attempt)
    return None


def _open_tunnel(
    connected: socket.socket, endpoint: HttpEndpoint, proxy: _Proxy, deadline: float
) -> None:
    """Ask the proxy to connect to the endpoint (RFC 9110, section 9.3.6)."""
    target = endpoint.address
    headers = {"Proxy-Authorization": f"Basic {proxy.authorization}"} if proxy.authorization else {}
    request = HttpRequest("CONNECT", target, target, headers).encode()
    reply = BlockingConnection(connected).exchange(request, start_parser(tunnel=True), deadline)
    if reply.status // 100 != SUCCESS:
        text = f"the proxy of HTTPS_PROXY does not connect to Upstash (HTTP {reply.status})"
        raise StoreUnavailable(text)
