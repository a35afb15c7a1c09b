"""How a connection is opened: its name is resolved, an address connected to, a proxy passed.

All of it blocks, so it happens in a thread; nothing else bounds the system's resolver. Blocking and
asynchronous callers then start TLS on the socket themselves.
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
from llm_cache._upstash.connection import Connection, left
from llm_cache._upstash.http_exchange import Request, start_reading

_SUCCESS = 2  # the first digit of a status
NEXT_ADDRESS = 0.25  # seconds until another address is tried as well (RFC 8305, section 8)


class Origin(NamedTuple):
    """The server that a URL names, and the request target there."""

    host: str
    port: int
    secure: bool
    target: str

    @classmethod
    def of(cls, url: str) -> Origin:
        """Return the origin of an ``http`` or ``https`` URL."""
        parts = urlsplit(url)
        secure = parts.scheme.lower() == "https"
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(parts.hostname or "", parts.port or (443 if secure else 80), secure, target)

    @property
    def address(self) -> str:
        """The host and the port, as ``CONNECT`` names them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def authority(self) -> str:
        """The host, with the port unless it is the scheme's own, as a ``Host`` header has it."""
        return self.address.removesuffix(":443" if self.secure else ":80")


@contextmanager
def dialling(
    origin: Origin, until: float, *, direct: bool = False
) -> Iterator[Future[socket.socket]]:
    """Open a connection in a thread; the block waits for its socket, and secures it.

    If the block fails, the socket is closed, also one that comes later. ``until`` is in seconds of
    ``time.monotonic``. ``direct``: never through a proxy. Raises ``StoreTimeout`` or
    ``StoreUnavailable`` for what fails on the network.
    """
    opening = in_daemon_thread(lambda: _dial(origin, until, None if direct else _proxy(origin)))
    try:
        yield opening
    except BaseException as error:
        opening.add_done_callback(_close)
        if isinstance(error, TimeoutError):
            raise StoreTimeout("no connection to Upstash in time") from None
        if isinstance(error, OSError):
            kind = type(error).__name__
            raise StoreUnavailable(f"no connection to Upstash ({kind})") from error
        raise


def _close(opened: Future[socket.socket]) -> None:
    if opened.exception() is None:
        opened.result().close()


class _Proxy(NamedTuple):
    host: str
    port: int
    authorization: str


def _proxy(origin: Origin) -> _Proxy | None:
    """Return the proxy of ``HTTPS_PROXY``, or ``ALL_PROXY``, unless ``NO_PROXY`` names the host.

    A plain ``http`` URL never uses one: it is for servers on this machine.
    """
    if not origin.secure:
        return None
    from urllib.request import getproxies_environment, proxy_bypass

    proxies = getproxies_environment()
    url = proxies.get("https") or proxies.get("all")
    if not url or proxy_bypass(origin.host):
        return None
    with suppress(ValueError):
        parts = urlsplit(url if "//" in url else f"http://{url}")
        if parts.scheme == "http" and parts.hostname:
            user = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
            token = b64encode(user.encode()).decode() if parts.username is not None else ""
            return _Proxy(parts.hostname, parts.port or 80, token)
    raise InvalidSettings("HTTPS_PROXY", "…", "http://host:port, or http://user:password@host:port")


def _dial(origin: Origin, until: float, proxy: _Proxy | None) -> socket.socket:
    host, port = (proxy.host, proxy.port) if proxy else (origin.host, origin.port)
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    connected = _connected(list(dict.fromkeys(found)), until)
    try:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if proxy:
            _tunnel(connected, origin, proxy, until)
    except BaseException:
        connected.close()
        raise
    return connected


def _connected(addresses: list[tuple[object, ...]], until: float) -> socket.socket:
    """Connect to the first address that answers; those tried before it go on meanwhile."""
    error: OSError = OSError("no address")
    with selectors.DefaultSelector() as trying:
        try:
            while addresses or trying.get_map():
                if addresses:
                    error = _try(addresses.pop(0), trying) or error
                wait = min(left(until), NEXT_ADDRESS) if addresses else left(until)
                for key, _ in trying.select(wait if trying.get_map() else 0):
                    attempt: socket.socket = key.data
                    trying.unregister(attempt)
                    code = attempt.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                    if not code:
                        return attempt
                    attempt.close()
                    error = OSError(code, "connection failed")
        finally:
            for key in trying.get_map().values():
                key.data.close()
    raise error


def _try(address: tuple[object, ...], trying: selectors.BaseSelector) -> OSError | None:
    """Begin to connect to one address; return the error of one that fails at once."""
    family, kind, protocol, _, where = address
    attempt = socket.socket(family, kind, protocol)  # type: ignore[arg-type]
    attempt.setblocking(False)  # noqa: FBT003  the name of the standard library
    try:
        with suppress(BlockingIOError):
            attempt.connect(where)  # type: ignore[arg-type]
    except OSError as error:
        attempt.close()
        return error
    trying.register(attempt, selectors.EVENT_WRITE, attempt)
    return None


def _tunnel(connected: socket.socket, origin: Origin, proxy: _Proxy, until: float) -> None:
    """Have the proxy connect to the origin (RFC 9110, section 9.3.6)."""
    target = origin.address
    headers = {"Proxy-Authorization": f"Basic {proxy.authorization}"} if proxy.authorization else {}
    request = Request("CONNECT", target, target, headers).encode()
    reply = Connection(connected).exchange(request, start_reading(tunnel=True), until)
    if reply.status // 100 != _SUCCESS:
        raise StoreUnavailable(f"the proxy does not connect to Upstash (HTTP {reply.status})")
