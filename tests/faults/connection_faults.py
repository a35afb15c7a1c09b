"""Faults before the first HTTP byte: name resolution, TCP and TLS."""

import datetime as dt
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from unittest.mock import patch

from tests.faults.faulty_proxy import Handshake
from tests.faults.http_faults import BETWEEN
from tests.faults.route import Begin, Fault, Resolve, Route, tls_handshake
from tests.faults.socket_servers import copy_until_closed, send_reply, silent

from llm_cache import StoreTimeout, StoreUnavailable

LONG = 20.0  # seconds; a resolver cannot be interrupted


def on_connection(handshake: Callable[[Route], Handshake]) -> Begin:
    """Return a fault of each new connection."""
    return lambda route: _with_new_connections(route, route.proxy, "handshake", handshake(route))


def on_resolving(resolve: Resolve) -> Begin:
    """Return a fault of each name resolution."""
    return lambda route: _with_new_connections(route, route.host, "resolve", resolve)


@contextmanager
def _with_new_connections(route: Route, owner: object, name: str, value: object) -> Iterator[None]:
    with patch.object(owner, name, value):
        route.proxy.close_connections()
        yield


def unknown() -> str:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def slow() -> str:
    time.sleep(LONG)
    raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


def closed_port() -> str:
    return "127.0.0.2"


@contextmanager
def never_accepting(route: Route) -> Iterator[None]:
    """Resolve the name to a listener whose queue of connections is full."""
    address = ("127.0.0.3", route.proxy.port)
    with ExitStack() as stack:
        listener, *clients = [stack.enter_context(socket.socket()) for _ in range(3)]
        listener.bind(address)
        listener.listen(0)
        for client in clients:
            client.setblocking(False)  # noqa: FBT003  the name of the standard library
            client.connect_ex(address)
        with on_resolving(lambda: address[0])(route):
            yield


def refusing(act: Callable[[socket.socket], None]) -> Callable[[Route], Handshake]:
    """Act on a connection in place of the TLS handshake."""

    def handshake(connection: socket.socket) -> socket.socket:
        act(connection)
        raise ConnectionError

    return lambda _: handshake


def plain_http(connection: socket.socket) -> None:
    connection.recv(65536)
    send_reply(connection, b"", "400 Bad Request")


def slow_handshake(route: Route) -> Handshake:
    good = route.proxy.handshake

    def handshake(connection: socket.socket) -> socket.socket:
        inner, outer = socket.socketpair()
        threading.Thread(target=_drip, args=(inner, connection), daemon=True).start()
        threading.Thread(target=copy_until_closed, args=(connection, inner), daemon=True).start()
        try:
            return good(outer)
        finally:
            if outer.fileno() != -1:  # the handshake failed; else TLS owns the socket
                outer.close()

    return handshake


def _drip(source: socket.socket, sink: socket.socket) -> None:
    with source, suppress(OSError):
        while data := source.recv(1):
            sink.sendall(data)
            time.sleep(BETWEEN)


def expired(route: Route) -> Handshake:
    authority, yesterday = route.host.authority, dt.timedelta(days=-1)
    return tls_handshake(authority.server_context(route.host.name, expires=yesterday))


def of_another_host(route: Route) -> Handshake:
    return tls_handshake(route.host.authority.server_context("other.test"))


CONNECTION_FAULTS = {
    "DNS: unknown name": Fault(on_resolving(unknown), StoreUnavailable),
    "DNS: slow resolver": Fault(on_resolving(slow), StoreTimeout),
    "TCP: connection refused": Fault(on_resolving(closed_port), StoreUnavailable),
    "TCP: connection not accepted": Fault(never_accepting, StoreTimeout),
    "TLS: no handshake": Fault(on_connection(refusing(silent)), StoreTimeout),
    "TLS: handshake one byte at a time": Fault(on_connection(slow_handshake), StoreTimeout),
    "TLS: expired certificate": Fault(on_connection(expired), StoreUnavailable),
    "TLS: certificate of another host": Fault(on_connection(of_another_host), StoreUnavailable),
    "TLS: plain HTTP server": Fault(on_connection(refusing(plain_http)), StoreUnavailable),
}
