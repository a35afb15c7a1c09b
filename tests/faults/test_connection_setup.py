"""A connection is made in time or abandoned, without a leftover thread or socket."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.faults import socket_servers
from tests.faults.certificate_authority import Authority
from tests.faults.conftest import Execute

from llm_cache import StoreTimeout, StoreUnavailable
from llm_cache._upstash import blocking_pool
from llm_cache._upstash.credentials import Credentials
from llm_cache._upstash.http_messages import HttpEndpoint
from llm_cache._upstash.upstash_store import UpstashStore
from upstash_endpoint.endpoint import UpstashEndpoint

SECONDS = 0.3
LONG = 30.0
HOST = "upstash.test"


def test_listening_address_is_found_among_several(
    monkeypatch: pytest.MonkeyPatch, upstash: UpstashEndpoint, execute: Execute
) -> None:
    real, url = socket.getaddrinfo, f"http://{HOST}:{urlsplit(upstash.url).port}"
    addresses = ["127.0.0.2", "127.0.0.3", "127.0.0.1"]  # only the last one listens

    def getaddrinfo(host: Any, *rest: Any, **options: Any) -> Any:
        found = addresses if host in (HOST, HOST.encode()) else [host]
        return [info for address in found for info in real(address, *rest, **options)]

    monkeypatch.setattr("socket.getaddrinfo", getaddrinfo)
    assert execute(url, upstash.token, LONG) is None
    addresses.remove("127.0.0.1")
    with pytest.raises(StoreUnavailable):
        execute(url, upstash.token, LONG)


@pytest.fixture
def silent_tls() -> Iterator[tuple[str, threading.Event]]:
    """A server without a TLS handshake, and an event set when its client closes."""
    closed = threading.Event()

    def wait(connection: socket.socket) -> None:
        socket_servers.silent(connection)
        closed.set()

    with socket_servers.serving(wait) as url:
        yield url.replace("http:", "https:"), closed


def test_abandoned_handshake_leaves_no_socket_open(
    silent_tls: tuple[str, threading.Event],
) -> None:
    url, closed = silent_tls
    store = UpstashStore(lambda: Credentials(url, "token"))

    async def live_on() -> bool:
        with pytest.raises(StoreTimeout):
            await store.aexecute(("GET", "k"), SECONDS)
        return await asyncio.to_thread(closed.wait, 60)

    assert asyncio.run(live_on())


def test_connection_made_after_the_deadline_is_closed_before_its_handshake(
    silent_tls: tuple[str, threading.Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, closed = silent_tls
    times = iter([60.0])  # seconds to connect; none is left for the handshake

    def left(_: float) -> float:
        for seconds in times:
            return seconds
        raise StoreTimeout("no answer from Upstash in time")

    monkeypatch.setattr(blocking_pool, "seconds_left", left)
    with pytest.raises(StoreTimeout):
        blocking_pool.open_connection(HttpEndpoint.of(url), time.monotonic() + 60)
    assert closed.wait(60)


def test_untrusted_certificate_gets_no_token(tmp_path: Path, execute: Execute) -> None:
    context, received = Authority.create(tmp_path).server_context("localhost"), []

    def read(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            received.append(secured.recv(65536))

    with socket_servers.serving(read) as url:
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                execute(url.replace("http://127.0.0.1", "https://localhost"), "token", 5)
    assert received == []
