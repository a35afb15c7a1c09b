"""How a command becomes a request, and what its reply means."""

import json
import time
from types import SimpleNamespace
from typing import Any

import pytest
from upstash_redis import Redis

from llm_cache import StoreGarbled, StoreRefused, StoreUnavailable, __version__
from llm_cache._errors import QuotaExceeded
from llm_cache._upstash.credentials import Credentials
from llm_cache._upstash.http_messages import ConnectionDropped, HttpReply
from llm_cache._upstash.rest_client import RestClient, credentials_of, read_reply
from llm_cache._upstash.upstash_store import UpstashStore
from upstash_endpoint.endpoint import UpstashEndpoint


@pytest.fixture
def client() -> RestClient:
    return RestClient(Credentials("https://x.upstash.io:8080/a", "token"))


def reply(body: object, status: int = 200, **headers: str) -> HttpReply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpReply(status, named, json.dumps(body).encode(), reusable=True)


def test_reading_the_secrets_takes_no_time_from_the_first_command(
    upstash: UpstashEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly() -> Credentials:
        later = SimpleNamespace(monotonic=lambda: time.monotonic() + 100)
        monkeypatch.setattr("llm_cache._upstash.upstash_store.time", later)
        monkeypatch.setattr("llm_cache._upstash.blocking_connection.time", later)
        return Credentials(upstash.url, upstash.token)

    assert UpstashStore(slowly).execute(("PING",), 60) == "PONG"


def test_published_client_still_has_the_private_attributes_that_are_read(redis: Redis) -> None:
    assert credentials_of(redis) == Credentials(redis._url, redis._headers["Authorization"][7:])


def test_requests_equal_those_of_the_published_client_without_telemetry(client: RestClient) -> None:
    client._read(("PING",), reply({"result": "OK"}, upstash_sync_token="7"))
    client._read(("PING",), reply({"result": "OK"}))
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


REQUESTS = "ERR max requests limit exceeded. Limit: 500000, Usage: 500000. See https://upstash.com"


@pytest.mark.parametrize(
    ("body", "status", "error", "text"),
    [
        ({"error": "NOPERM this user"}, 400, StoreRefused, "NOPERM this user"),
        ({"error": "ERR unknown command 'X', with args: \"mark"}, 400, StoreRefused, "args:"),
        ({"error": "ERR " + "word " * 100}, 400, StoreRefused, "ERR word"),
        ({"error": "ERR max request size exceeded. Limit: 1 bytes"}, 400, StoreRefused, "size"),
        ({"error": "ERR DB capacity quota exceeded"}, 400, StoreRefused, "capacity"),
        ({"error": REQUESTS}, 200, QuotaExceeded, "ERR max requests"),
        ({"error": "ERR max bandwidth limit exceeded"}, 400, QuotaExceeded, "bandwidth"),
        ({"error": "ERR slow down"}, 429, QuotaExceeded, "ERR slow down"),
        ("<html>", 429, QuotaExceeded, "HTTP 429"),
        ("<html>", 502, StoreGarbled, "AttributeError"),
        ({"result": ["no base64"]}, 200, StoreGarbled, "Error"),
        ({}, 200, StoreGarbled, "KeyError"),
    ],
)
def test_reply_without_a_result_is_an_error_that_tells_quota_from_refusal(
    body: object, status: int, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text) as raised:
        read_reply(("GET", "k"), reply(body, status, retry_after="7"))
    assert raised.type is error
    assert "mark" not in str(raised.value)
    assert len(str(raised.value)) <= 200
    if isinstance(raised.value, QuotaExceeded):
        assert raised.value.retry_after == 7


class Drops:
    """Drops connections, then replies."""

    def __init__(self, drops: int) -> None:
        self.drops = drops

    def send(self, request: bytes, deadline: float) -> HttpReply:
        self.drops -= 1
        if self.drops >= 0:
            raise ConnectionDropped("dropped")
        return reply({"result": 0})

    async def asend(self, request: bytes, deadline: float) -> HttpReply:
        return self.send(request, deadline)


@pytest.mark.parametrize(
    ("drops", "command", "fails"),
    [(0, "DECR", False), (1, "DECR", False), (2, "DECR", True), (1, "UNLINK", True)],
)
async def test_command_is_sent_again_once_and_a_repeated_deletion_of_nothing_fails(
    client: Any, drops: int, command: str, *, fails: bool
) -> None:
    client._blocking = Drops(drops)
    client._asynchronous = SimpleNamespace(send=Drops(drops).asend)
    if fails:
        with pytest.raises(StoreUnavailable):
            client.execute((command, "k"), 0.0)
        with pytest.raises(StoreUnavailable):
            await client.aexecute((command, "k"), 0.0)
    else:
        assert client.execute((command, "k"), 0.0) == 0
        assert await client.aexecute((command, "k"), 0.0) == 0
