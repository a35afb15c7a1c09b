"""HTTPS_PROXY names a proxy: what it receives, and the errors when it refuses."""

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.faults.certificate_authority import Authority
from tests.faults.conftest import Execute
from tests.faults.faulty_proxy import NOWHERE, faulty_proxy
from tests.faults.route import tls_handshake
from tests.faults.socket_servers import copy_until_closed, read_request, serving

from llm_cache import InvalidSettings, StoreError, StoreGarbled, StoreTimeout, StoreUnavailable
from llm_cache._upstash.tls_trust import tls_context
from upstash_endpoint.endpoint import UpstashEndpoint

HOST = "cache.upstash.test"  # only the proxy resolves it
PATIENCE = 30.0  # seconds
Ping = Callable[[float], Any]


@dataclass
class ConnectProxy:
    """Sends ``reply`` to each CONNECT; after a success, connects to ``target`` for any name."""

    target: tuple[str, int]
    reply: bytes = b"HTTP/1.1 200 Connection established\r\n\r\n"
    url: str = ""
    requests: list[bytes] = field(default_factory=list)

    def handle(self, client: socket.socket) -> None:
        self.requests.append(read_request(client))
        if not self.reply:
            client.recv(1)  # hangs until the client leaves
            return
        client.sendall(self.reply)
        if b" 200 " not in self.reply:
            client.shutdown(socket.SHUT_RDWR)
            return
        with socket.create_connection(self.target) as server:
            upload = threading.Thread(target=copy_until_closed, args=(client, server), daemon=True)
            upload.start()
            copy_until_closed(server, client)


@contextmanager
def connect_proxy(target: tuple[str, int]) -> Iterator[ConnectProxy]:
    proxy = ConnectProxy(target)
    with serving(proxy.handle) as proxy.url:
        yield proxy


@pytest.fixture(autouse=True)
def authority(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Authority]:
    """A trusted authority, in an environment without a proxy."""
    authority = Authority.create(tmp_path)
    for name in ("HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    tls_context.cache_clear()
    yield authority
    tls_context.cache_clear()


@pytest.fixture
def proxy(
    authority: Authority, upstash: UpstashEndpoint, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ConnectProxy]:
    """A proxy in front of an Upstash with TLS; HTTPS_PROXY names it."""
    with faulty_proxy(upstash.url) as server:
        server.handshake = tls_handshake(authority.server_context(HOST))
        with connect_proxy(("127.0.0.1", server.port)) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", proxy.url)
            yield proxy


@pytest.fixture
def ping(execute: Execute, upstash: UpstashEndpoint) -> Ping:
    return lambda seconds: execute(f"https://{HOST}:8443", upstash.token, seconds, ("PING",))


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("form", ["http://{}", "http://{}/", "{}"])
def test_proxy_of_the_environment_receives_connect_without_the_token(
    monkeypatch: pytest.MonkeyPatch, proxy: ConnectProxy, ping: Ping, variable: str, form: str
) -> None:
    monkeypatch.delenv("HTTPS_PROXY")
    monkeypatch.setenv(variable, form.format(proxy.url.removeprefix("http://")))
    assert ping(PATIENCE) == "PONG"
    (request,) = proxy.requests
    assert request.startswith(f"CONNECT {HOST}:8443 HTTP/1.1\r\nHost: {HOST}:8443\r\n".encode())
    assert b"Authorization: Bearer" not in request


def test_user_and_password_are_sent_to_the_proxy(
    monkeypatch: pytest.MonkeyPatch, proxy: ConnectProxy, ping: Ping
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("//", "//user:p%40ss@"))
    assert ping(PATIENCE) == "PONG"
    assert b"\r\nProxy-Authorization: Basic dXNlcjpwQHNz\r\n" in proxy.requests[0]


@pytest.mark.parametrize("hosts", [HOST, ".upstash.test", "*", "a.io,cache.upstash.test"])
def test_host_of_no_proxy_is_connected_directly(
    monkeypatch: pytest.MonkeyPatch, proxy: ConnectProxy, ping: Ping, hosts: str
) -> None:
    monkeypatch.setenv("NO_PROXY", hosts)
    with pytest.raises(StoreUnavailable, match="gaierror"):
        ping(PATIENCE)
    assert proxy.requests == []


def test_plain_http_uses_no_proxy(
    monkeypatch: pytest.MonkeyPatch, proxy: ConnectProxy, upstash: UpstashEndpoint, execute: Execute
) -> None:
    for name in ("HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url)
    assert execute(upstash.url, upstash.token, PATIENCE, ("PING",)) == "PONG"
    assert proxy.requests == []


@pytest.mark.parametrize(
    ("reply", "error", "message"),
    [
        (b"HTTP/1.1 407 Authenticate\r\nContent-Length: 0\r\n\r\n", StoreUnavailable, "HTTP 407"),
        (b"HTTP/1.1 502 Bad\r\n\r\nno such host", StoreUnavailable, "HTTP 502"),
        (b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", StoreUnavailable, "HTTP 302"),
        (b"SSH-2.0\r\n\r\n", StoreGarbled, "not HTTP/1.1"),
        (b"HTTP/1.1 2", StoreUnavailable, "closed before the reply"),
    ],
)
def test_refusal_of_the_proxy_is_in_the_error(
    proxy: ConnectProxy, ping: Ping, reply: bytes, error: type[StoreError], message: str
) -> None:
    proxy.reply, proxy.target = reply, NOWHERE
    with pytest.raises(error, match=message):
        ping(PATIENCE)


def test_hanging_proxy_times_out(proxy: ConnectProxy, ping: Ping) -> None:
    proxy.reply = b""
    with pytest.raises(StoreTimeout):
        ping(0.3)


@pytest.mark.parametrize(
    "url", ["https://a:1", "socks5://a:1", "http://", "http://a:port", "ftp://a", "http://["]
)
def test_unsupported_proxy_is_refused_without_its_password(
    monkeypatch: pytest.MonkeyPatch, ping: Ping, url: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", url.replace("//", "//user:secret@"))
    with pytest.raises(InvalidSettings, match=re.escape("HTTPS_PROXY='…' is not accepted")):
        ping(PATIENCE)
