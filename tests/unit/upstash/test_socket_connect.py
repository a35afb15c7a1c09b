"""How a socket is connected, and through which proxy."""

import socket
import time
from typing import Any

import pytest
from tests.faults import socket_servers

from llm_cache import InvalidSettings, StoreUnavailable
from llm_cache._upstash.http_messages import HttpEndpoint
from llm_cache._upstash.socket_connect import _proxy, connecting_socket


@pytest.mark.parametrize(
    ("variables", "proxy"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://a.test:1/"}, ("a.test", 1, "")),
        ({"https_proxy": "a.test"}, ("a.test", 80, "")),
        ({"HTTPS_PROXY": "http://user:p%40ss@a.test:1"}, ("a.test", 1, "dXNlcjpwQHNz")),
        ({"ALL_PROXY": "http://a.test:1", "HTTPS_PROXY": ""}, ("a.test", 1, "")),
        ({"ALL_PROXY": "http://a.test:1", "HTTPS_PROXY": "b.test"}, ("b.test", 80, "")),
        ({"HTTPS_PROXY": "a.test", "NO_PROXY": "x.io,.upstash.test"}, None),
        ({"HTTP_PROXY": "a.test"}, None),
    ],
)
def test_proxy_of_the_environment_is_used_for_https_only(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], proxy: object
) -> None:
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert _proxy(HttpEndpoint.of("https://cache.upstash.test")) == proxy
    assert _proxy(HttpEndpoint.of("http://cache.upstash.test")) is None


@pytest.mark.parametrize("url", ["https://a.test:1", "socks5://a.test", "http://", "http://a:port"])
def test_invalid_proxy_is_refused_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", url.replace("//", "//user:secret@"))
    with pytest.raises(InvalidSettings, match="HTTPS_PROXY='…' is not accepted"):
        _proxy(HttpEndpoint.of("https://cache.upstash.test"))


def test_next_address_is_tried_and_a_failed_block_closes_its_socket(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolve: Any = socket.getaddrinfo
    with socket_servers.serving(socket_servers.silent) as url:
        endpoint = HttpEndpoint.of(url)
        both = [*resolve("127.0.0.2", endpoint.port), *resolve("127.0.0.1", endpoint.port)]
        both = [address for address in both if address[1] == socket.SOCK_STREAM]
        monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: both)
        block = connecting_socket(endpoint, time.monotonic() + 60)
        connected = block.__enter__().result(60)
        assert connected.getpeername() == ("127.0.0.1", endpoint.port)
        assert not block.__exit__(KeyError, KeyError("a failure of the block"), None)
    assert connected.fileno() == -1


def test_refusal_of_the_proxy_is_reported_with_its_status(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(connection: socket.socket) -> None:
        assert connection.recv(9999).startswith(b"CONNECT upstash.test:443 HTTP/1.1\r\n")
        connection.sendall(b"HTTP/1.1 407 Authenticate\r\nContent-Length: 0\r\n\r\n")

    endpoint = HttpEndpoint.of("https://upstash.test")
    with socket_servers.serving(refuse) as url:
        monkeypatch.setenv("HTTPS_PROXY", url)
        with (
            pytest.raises(StoreUnavailable, match="HTTP 407"),
            connecting_socket(endpoint, time.monotonic() + 60) as connecting,
        ):
            connecting.result(60)
