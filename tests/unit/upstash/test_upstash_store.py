"""What the edge adds to the published client."""

import time
from types import SimpleNamespace

import pytest
from upstash_redis import Redis

from llm_cache import __version__
from llm_cache._upstash import blocking
from llm_cache._upstash.client import Client
from llm_cache._upstash.credentials import Credentials
from llm_cache._upstash.upstash_store import UpstashStore
from upstash_endpoint.endpoint import UpstashEndpoint


def test_finding_upstash_does_not_eat_the_time_of_the_first_command(
    upstash: UpstashEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly() -> Credentials:
        later = SimpleNamespace(monotonic=lambda: time.monotonic() + 100)
        monkeypatch.setattr("llm_cache._upstash.upstash_store.time", later)
        monkeypatch.setattr("llm_cache._upstash.connection.time", later)
        return Credentials(upstash.url, upstash.token)

    assert UpstashStore(slowly).execute(("PING",), 60) == "PONG"


def test_the_parts_of_the_published_client_that_are_used_are_still_there(
    upstash: UpstashEndpoint,
) -> None:
    # upstash-redis has no names for them: a release that moves these must fail here first
    with Redis(upstash.url, upstash.token) as client:
        assert client._url == upstash.url
        assert client._headers["Authorization"] == f"Bearer {upstash.token}"


def test_an_idle_connection_is_kept_for_a_minute(
    upstash: UpstashEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [time.monotonic()]
    clock = SimpleNamespace(monotonic=lambda: now[0])
    store = UpstashStore(lambda: Credentials(upstash.url, upstash.token))
    monkeypatch.setattr(blocking, "time", clock)
    for pause, connections in ((0, 1), (59, 1), (61, 2)):
        now[0] += pause
        store.execute(("PING",), 60)
        assert upstash.meter.read().connections == connections


def test_requests_are_what_the_published_client_sends_without_telemetry() -> None:
    client = Client(Credentials("https://x.upstash.io:8080/a", "token"))
    client._sync_token = "7"
    head, _, body = client._encoded(("SET", "k", "ü", 1)).partition(b"\r\n\r\n")
    first, *headers = head.decode().split("\r\n")
    assert first == "POST /a HTTP/1.1"
    assert body == '["SET","k","ü",1]'.encode()
    assert sorted(headers) == [
        "Accept-Encoding: identity",
        "Authorization: Bearer token",
        f"Content-Length: {len(body)}",
        "Content-Type: application/json",
        "Host: x.upstash.io:8080",
        "Upstash-Encoding: base64",
        "Upstash-Sync-Token: 7",
        f"User-Agent: lambda-llm-cache/{__version__}",
    ]
