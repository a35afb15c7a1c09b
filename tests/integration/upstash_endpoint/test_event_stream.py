import contextlib
from collections.abc import Iterator

import httpx
import pytest

from upstash_endpoint.children import wait_until
from upstash_endpoint.endpoint import UpstashEndpoint
from upstash_endpoint.redis_server import RedisServer


@contextlib.contextmanager
def listening(http: httpx.Client, path: str, content: bytes = b"") -> Iterator[Iterator[str]]:
    headers = {"Accept": "text/event-stream"}
    with http.stream("POST", path, headers=headers, content=content) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = response.iter_lines()
        yield (line for line in lines if line)


def test_subscriber_receives_published_messages(http: httpx.Client) -> None:
    with listening(http, "/subscribe/chat/news") as events:
        assert next(events) == "data: subscribe,chat,1"
        assert next(events) == "data: subscribe,news,2"
        assert http.post("/publish/chat/hello, you").json() == {"result": 1}
        assert next(events) == "data: message,chat,hello, you"
        http.post("/publish/chat", content="one\ntwo")
        assert [next(events), next(events)] == ["data: message,chat,one", "data: two"]


def test_pattern_subscriber_receives_the_channel(http: httpx.Client) -> None:
    with listening(http, "/psubscribe/user:*") as events:
        assert next(events) == "data: psubscribe,user:*,1"
        http.post("/publish/user:7/hi")
        assert next(events) == "data: pmessage,user:*,user:7,hi"


def test_monitor_shows_commands(http: httpx.Client) -> None:
    with listening(http, "/monitor") as events:
        assert next(events) == 'data: "OK"'
        http.get("/get/secret")
        assert next(events).endswith('"get" "secret"')


def test_closed_stream_ends_the_subscription(http: httpx.Client, redis: RedisServer) -> None:
    with listening(http, "/subscribe/chat", content=b"[]") as events:
        next(events)
        assert redis.call("PUBSUB", "CHANNELS") == [b"chat"]  # the body is no channel
    wait_until(lambda: redis.call("PUBSUB", "CHANNELS") == [], seconds=60, what="the end")


def test_subscriber_without_permission_gets_an_error(
    http: httpx.Client, endpoint: UpstashEndpoint
) -> None:
    headers = {"Authorization": f"Bearer {endpoint.read_only_token}"}
    response = http.post("/subscribe/chat", headers=headers)
    assert response.status_code == 400
    assert response.json()["error"].startswith("NOPERM")


def test_stream_ends_with_redis(own_http: httpx.Client, own_redis: RedisServer) -> None:
    with listening(own_http, "/subscribe/chat") as events:
        next(events)
        own_redis.kill()
        assert list(events) == []


def test_endpoint_stops_during_a_stream(
    own_http: httpx.Client, own_endpoint: UpstashEndpoint
) -> None:
    with listening(own_http, "/subscribe/chat") as events:
        next(events)
        own_endpoint.stop()
    with pytest.raises(httpx.TransportError):
        own_http.get("/ping")
