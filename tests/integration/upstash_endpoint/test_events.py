import contextlib
from collections.abc import Iterator

import httpx

from upstash_endpoint.children import wait_until
from upstash_endpoint.endpoint import UpstashEndpoint
from upstash_endpoint.redis_server import RedisServer


@contextlib.contextmanager
def listening(http: httpx.Client, path: str) -> Iterator[Iterator[str]]:
    with http.stream("POST", path, headers={"Accept": "text/event-stream"}) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = response.iter_lines()
        yield (line for line in lines if line)


def test_subscriber_hears_what_is_published(http: httpx.Client, endpoint: UpstashEndpoint) -> None:
    with listening(http, "/subscribe/chat/news") as events:
        assert next(events) == "data: subscribe,chat,1"
        assert next(events) == "data: subscribe,news,2"
        assert http.post("/publish/chat/hello, you").json() == {"result": 1}
        assert next(events) == "data: message,chat,hello, you"


def test_body_of_a_subscription_is_not_a_channel(http: httpx.Client, redis: RedisServer) -> None:
    with http.stream("POST", "/subscribe/chat", content=b"[]") as response:
        events = response.iter_lines()
        assert next(events) == "data: subscribe,chat,1"
        assert redis.call("PUBSUB", "CHANNELS") == [b"chat"]


def test_pattern_subscriber_hears_the_channel(http: httpx.Client) -> None:
    with listening(http, "/psubscribe/user:*") as events:
        assert next(events) == "data: psubscribe,user:*,1"
        http.post("/publish/user:7/hi")
        assert next(events) == "data: pmessage,user:*,user:7,hi"


def test_message_of_two_lines_stays_one_event(http: httpx.Client) -> None:
    with listening(http, "/subscribe/chat") as events:
        next(events)
        http.post("/publish/chat", content="one\ntwo")
        assert [next(events), next(events)] == ["data: message,chat,one", "data: two"]


def test_monitor_shows_commands(http: httpx.Client) -> None:
    with listening(http, "/monitor") as events:
        assert next(events) == 'data: "OK"'
        http.get("/get/secret")
        assert next(events).endswith('"get" "secret"')


def test_listener_that_leaves_is_forgotten(http: httpx.Client, redis: RedisServer) -> None:
    with listening(http, "/subscribe/chat") as events:
        next(events)
        assert redis.call("PUBSUB", "NUMSUB", "chat") == [b"chat", 1]
    wait_until(
        lambda: redis.call("PUBSUB", "NUMSUB", "chat") == [b"chat", 0], seconds=60, what="the end"
    )


def test_listener_without_permission_gets_an_error(
    http: httpx.Client, endpoint: UpstashEndpoint
) -> None:
    headers = {"Authorization": f"Bearer {endpoint.read_only_token}"}
    response = http.post("/subscribe/chat", headers=headers)
    assert response.status_code == 400
    assert response.json()["error"].startswith("NOPERM")


def test_stream_ends_when_redis_does() -> None:
    with (
        RedisServer.start() as redis,
        UpstashEndpoint.start(redis) as endpoint,
        httpx.Client(base_url=endpoint.url, params={"_token": endpoint.token}) as http,
        listening(http, "/subscribe/chat") as events,
    ):
        next(events)
        redis.kill()
        assert list(events) == []


def test_endpoint_stops_while_someone_listens() -> None:
    with (
        RedisServer.start() as redis,
        UpstashEndpoint.start(redis) as endpoint,
        httpx.Client(base_url=endpoint.url, params={"_token": endpoint.token}) as http,
        listening(http, "/subscribe/chat") as events,
    ):
        next(events)
        endpoint.stop()
