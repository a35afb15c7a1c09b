"""A connection is made in time or given up whole: no thread, no socket and no loop waits for it."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.faults import servers

from llm_cache import StoreTimeout, StoreUnavailable
from llm_cache._upstash import blocking
from llm_cache._upstash.connecting import Origin
from llm_cache._upstash.credentials import Credentials
from llm_cache._upstash.upstash_store import UpstashStore
from upstash_endpoint.endpoint import UpstashEndpoint

SECONDS = 0.3
LONG = 30.0  # seconds that a resolver thinks, and nobody waits for
HOST = "upstash.test"


def get(url: str, seconds: float = SECONDS, token: str = "token") -> Any:
    return UpstashStore(lambda: Credentials(url, token)).execute(("GET", "k"), seconds)


def aget(url: str, seconds: float = SECONDS, token: str = "token") -> Any:
    store = UpstashStore(lambda: Credentials(url, token))
    return asyncio.run(store.aexecute(("GET", "k"), seconds))


@pytest.fixture
def addresses(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Where the resolver says that HOST is; nowhere: it thinks."""
    where: list[str] = []
    real: Callable[..., Any] = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *rest: Any, **named: Any) -> Any:
        if host not in (HOST, HOST.encode()):
            return real(host, port, *rest, **named)
        if not where:
            time.sleep(LONG)
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return [found for address in where for found in real(address, port, *rest, **named)]

    monkeypatch.setattr("socket.getaddrinfo", getaddrinfo)
    return where


@pytest.mark.timed
@pytest.mark.usefixtures("addresses")
@pytest.mark.parametrize("call", [get, aget])
def test_nobody_waits_for_a_resolver_not_even_the_loop_at_its_end(call: Callable[..., Any]) -> None:
    began = time.monotonic()
    with pytest.raises(StoreTimeout):
        call(f"https://{HOST}")
    assert time.monotonic() - began < LONG / 2


@pytest.mark.parametrize("call", [get, aget])
def test_of_several_addresses_one_that_answers_is_found(
    addresses: list[str], upstash: UpstashEndpoint, call: Callable[..., Any]
) -> None:
    port = urlsplit(upstash.url).port
    addresses += ["127.0.0.2", "127.0.0.3", "127.0.0.1"]  # nothing listens at the others
    assert call(f"http://{HOST}:{port}", LONG, upstash.token) is None
    addresses.remove("127.0.0.1")
    with pytest.raises(StoreUnavailable):
        call(f"http://{HOST}:{port}", LONG, upstash.token)


@pytest.fixture
def silent_to_tls() -> Iterator[tuple[str, threading.Event]]:
    """A server that takes a connection, never says hello, and notes that it was hung up on."""
    left = threading.Event()

    def wait(connection: socket.socket) -> None:
        while connection.recv(65536):
            pass
        left.set()

    with servers.serving(wait) as url:
        yield url.replace("http:", "https:"), left


def test_a_handshake_that_is_given_up_leaves_no_socket_open(
    silent_to_tls: tuple[str, threading.Event],
) -> None:
    url, left = silent_to_tls
    store = UpstashStore(lambda: Credentials(url, "token"))

    async def live_on() -> bool:
        with pytest.raises(StoreTimeout):
            await store.aexecute(("GET", "k"), SECONDS)
        return await asyncio.to_thread(left.wait, 60)

    assert asyncio.run(live_on())


def test_a_connection_made_at_the_last_moment_is_closed_before_its_handshake(
    silent_to_tls: tuple[str, threading.Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, left = silent_to_tls
    times = iter([60.0])  # to connect; then none is left

    def until(_: float) -> float:
        for seconds in times:
            return seconds
        raise StoreTimeout("no answer from Upstash in time")

    monkeypatch.setattr(blocking, "left", until)
    with pytest.raises(StoreTimeout):
        blocking.opened(Origin.of(url), time.monotonic() + 60)
    assert left.wait(60)
