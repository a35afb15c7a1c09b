"""Who cannot prove to be the one in the address is not sent the token."""

import asyncio
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults import servers
from tests.faults.certificates import Authority

from llm_cache import StoreUnavailable
from llm_cache._upstash.credentials import Credentials
from llm_cache._upstash.upstash_store import UpstashStore


@pytest.fixture
def context(tmp_path: Path) -> ssl.SSLContext:
    """A server's certificate, right in all but that nobody known has signed it."""
    return Authority.made(tmp_path).serving("localhost")


@pytest.fixture
def pretender(context: ssl.SSLContext) -> Iterator[tuple[str, list[bytes]]]:
    """A server that notes what it is sent once it is trusted."""
    sent: list[bytes] = []

    def read(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            sent.append(secured.recv(65536))

    with servers.serving(read) as url:
        yield url.replace("http://127.0.0.1", "https://localhost"), sent


def test_a_certificate_that_nobody_known_has_signed_gets_no_token(
    pretender: tuple[str, list[bytes]],
) -> None:
    url, sent = pretender
    store = UpstashStore(lambda: Credentials(url, "token"))
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            store.execute(("GET", "k"), 5)
        with pytest.raises(StoreUnavailable):
            asyncio.run(store.aexecute(("GET", "k"), 5))
    assert sent == []
