"""What is sent through the proxy that ``HTTPS_PROXY`` names, and what comes of its refusals."""

import asyncio
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.faults.certificates import Authority
from tests.faults.line import securing
from tests.faults.proxy import proxying
from tests.faults.tunnel import Tunnel, tunnelling

from llm_cache import InvalidSettings, StoreError, StoreGarbled, StoreTimeout, StoreUnavailable
from llm_cache._upstash.credentials import Credentials
from llm_cache._upstash.trust import trusted
from llm_cache._upstash.upstash_store import UpstashStore
from upstash_endpoint.endpoint import UpstashEndpoint

HOST = "cache.upstash.test"  # no resolver knows it, but the proxy does
PATIENCE = 30.0  # seconds
Call = Callable[[float], Any]


@pytest.fixture(autouse=True)
def _fresh_trust(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Authority]:
    authority = Authority.made(tmp_path)
    for name in ("HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    trusted.cache_clear()
    yield authority
    trusted.cache_clear()


@pytest.fixture
def tunnel(_fresh_trust: Authority, upstash: UpstashEndpoint) -> Iterator[Tunnel]:
    """A proxy before an Upstash with TLS."""
    with proxying(upstash.url) as server:
        server.greet = securing(_fresh_trust.serving(HOST))
        with tunnelling(("127.0.0.1", server.port)) as tunnel:
            yield tunnel


@pytest.fixture(params=["blocking", "asynchronous"])
def call(request: pytest.FixtureRequest, upstash: UpstashEndpoint) -> Call:
    store = UpstashStore(lambda: Credentials(f"https://{HOST}:8443", upstash.token))
    if request.param == "blocking":
        return lambda seconds: store.execute(("PING",), seconds)
    return lambda seconds: asyncio.run(store.aexecute(("PING",), seconds))


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("form", ["{}", "{}/", "bare"])
def test_proxy_of_the_environment_is_asked_to_connect(
    monkeypatch: pytest.MonkeyPatch, tunnel: Tunnel, call: Call, variable: str, form: str
) -> None:
    bare = tunnel.url.removeprefix("http://")
    monkeypatch.setenv(variable, bare if form == "bare" else form.format(tunnel.url))
    assert call(PATIENCE) == "PONG"
    (asked,) = tunnel.asked
    assert asked.startswith(f"CONNECT {HOST}:8443 HTTP/1.1\r\nHost: {HOST}:8443\r\n".encode())
    assert b"Authorization: Bearer" not in asked  # the token is for Upstash alone


def test_user_and_password_are_sent_to_the_proxy(
    monkeypatch: pytest.MonkeyPatch, tunnel: Tunnel, call: Call
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", tunnel.url.replace("//", "//user:p%40ss@"))
    assert call(PATIENCE) == "PONG"
    assert b"\r\nProxy-Authorization: Basic dXNlcjpwQHNz\r\n" in tunnel.asked[0]


@pytest.mark.parametrize("excepted", [HOST, ".upstash.test", "*", "a.io,cache.upstash.test"])
def test_no_proxy_names_hosts_that_are_connected_to_directly(
    monkeypatch: pytest.MonkeyPatch, tunnel: Tunnel, call: Call, excepted: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", tunnel.url)
    monkeypatch.setenv("NO_PROXY", excepted)
    with pytest.raises(StoreUnavailable, match="gaierror"):
        call(PATIENCE)
    assert tunnel.asked == []


def test_plain_http_uses_no_proxy(
    monkeypatch: pytest.MonkeyPatch, tunnel: Tunnel, upstash: UpstashEndpoint
) -> None:
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, tunnel.url)
    store = UpstashStore(lambda: Credentials(upstash.url, upstash.token))
    assert store.execute(("PING",), PATIENCE) == "PONG"
    assert tunnel.asked == []


@pytest.mark.parametrize(
    ("reply", "error", "told"),
    [
        (b"HTTP/1.1 407 Authenticate\r\nContent-Length: 0\r\n\r\n", StoreUnavailable, "HTTP 407"),
        (b"HTTP/1.1 502 Bad\r\n\r\nno such host", StoreUnavailable, "HTTP 502"),
        (b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", StoreUnavailable, "HTTP 302"),
        (b"SSH-2.0\r\n\r\n", StoreGarbled, "not HTTP/1.1"),
        (b"HTTP/1.1 2", StoreUnavailable, "closed before the reply"),
    ],
)
def test_refusal_of_the_proxy_is_told(
    monkeypatch: pytest.MonkeyPatch,
    tunnel: Tunnel,
    call: Call,
    reply: bytes,
    error: type[StoreError],
    told: str,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", tunnel.url)
    tunnel.reply, tunnel.target = reply, ("127.0.0.1", 9)
    with pytest.raises(error, match=told):
        call(PATIENCE)


def test_proxy_that_hangs_is_waited_for_no_longer_than_allowed(
    monkeypatch: pytest.MonkeyPatch, tunnel: Tunnel, call: Call
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", tunnel.url)
    tunnel.reply = b""
    with pytest.raises(StoreTimeout):
        call(0.3)


@pytest.mark.parametrize(
    "url",
    [
        "https://proxy.test:1",
        "socks5://proxy.test:1",
        "http://",
        "http://a:port",
        "ftp://a",
        "http://[",
    ],
)
def test_proxy_of_an_unknown_kind_is_refused_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, call: Call, url: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", url.replace("//", "//user:secret@"))
    with pytest.raises(InvalidSettings, match=re.escape("HTTPS_PROXY='…' is not accepted")):
        call(PATIENCE)
