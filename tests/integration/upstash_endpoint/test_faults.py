import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import httpx
import pytest

from upstash_endpoint.children import wait_until
from upstash_endpoint.endpoint import UpstashEndpoint
from upstash_endpoint.redis_server import RedisServer
from upstash_endpoint.resp import pack


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    with RedisServer.start() as server:
        yield server


@pytest.fixture
def own_endpoint(own_redis: RedisServer) -> Iterator[UpstashEndpoint]:
    with UpstashEndpoint.start(own_redis) as endpoint:
        yield endpoint


@pytest.fixture
def own_http(own_endpoint: UpstashEndpoint) -> Iterator[httpx.Client]:
    params = {"_token": own_endpoint.token}
    with httpx.Client(base_url=own_endpoint.url, params=params) as client:
        yield client


def test_restart_of_redis_is_survived(own_http: httpx.Client, own_redis: RedisServer) -> None:
    for _ in range(3):
        assert own_http.get("/ping").json() == {"result": "PONG"}
        own_redis.kill()
        own_redis.restart()
    assert own_http.get("/ping").json() == {"result": "PONG"}


def test_redis_that_is_down_is_an_error_at_once(
    own_http: httpx.Client, own_redis: RedisServer
) -> None:
    own_redis.kill()
    response = own_http.get("/ping")
    assert response.status_code == 503
    assert response.json()["error"].startswith("ERR the Redis server is unavailable")


def test_command_that_redis_may_have_run_is_not_sent_again(
    own_http: httpx.Client, own_endpoint: UpstashEndpoint, own_redis: RedisServer
) -> None:
    own_http.get("/ping")
    with (
        socket.create_connection(("127.0.0.1", own_redis.port)) as killer,
        ThreadPoolExecutor() as threads,
    ):
        killer.sendall(pack([b"AUTH", own_redis.password.encode()]))
        killer.recv(100)
        # Redis reads both at once when it wakes, and drops the caller's reply with its connection.
        own_redis.pause()
        waiting = threads.submit(own_http.post, "/incr/n")
        wait_until(lambda: own_endpoint.meter.read().commands == 2, seconds=60, what="the command")
        killer.sendall(pack([b"CLIENT", b"KILL", b"TYPE", b"normal"]))
        own_redis.resume()
        assert waiting.result().status_code == 503
    assert own_redis.call("GET", "n") in {None, b"1"}


def test_caller_who_hangs_up_leaves_a_usable_endpoint(
    own_http: httpx.Client, own_redis: RedisServer
) -> None:
    own_http.get("/set/k/mine")
    own_redis.pause()
    for _ in range(3):
        with pytest.raises(httpx.ReadTimeout):
            own_http.get("/echo/other", timeout=httpx.Timeout(60, read=0.05))
    own_redis.resume()
    for _ in range(10):
        assert own_http.get("/get/k").json() == {"result": "mine"}


def test_caller_who_hangs_up_in_the_middle_of_a_reply_leaves_a_usable_endpoint(
    http: httpx.Client, endpoint: UpstashEndpoint
) -> None:
    http.post("/set/big", content=b"x" * 8_000_000)
    address = urlsplit(endpoint.url)
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", address.port or 0)) as caller:
            caller.sendall(
                f"GET /get/big?_token={endpoint.token} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
            )
            caller.recv(100)
        assert http.get("/echo/a").json() == {"result": "a"}


def test_caller_who_hangs_up_in_the_middle_of_a_request_changes_nothing(
    http: httpx.Client, redis: RedisServer, endpoint: UpstashEndpoint
) -> None:
    address = urlsplit(endpoint.url)
    with socket.create_connection(("127.0.0.1", address.port or 0)) as caller:
        head = f"POST /set/k?_token={endpoint.token} HTTP/1.1\r\nHost: x\r\n"
        caller.sendall(f"{head}Content-Length: 10\r\n\r\nhalf".encode())
    assert http.get("/ping").json() == {"result": "PONG"}
    assert redis.call("EXISTS", "k") == 0


def test_connection_that_redis_closed_is_not_used_again(
    http: httpx.Client, redis: RedisServer
) -> None:
    for _ in range(5):
        http.get("/ping")
        redis.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        assert http.get("/ping").json() == {"result": "PONG"}


def test_callers_at_once_get_their_own_answers(
    http: httpx.Client, endpoint: UpstashEndpoint
) -> None:
    def ask(n: int) -> bool:
        batch = [["ECHO", f"{n}-{i}"] for i in range(n % 7)] + [
            ["SET", f"k{n}", n],
            ["GET", f"k{n}"],
        ]
        path = "/multi-exec" if n % 2 else "/pipeline"
        results = [reply["result"] for reply in http.post(path, json=batch).json()]
        return results == [*(f"{n}-{i}" for i in range(n % 7)), "OK", str(n)]

    with ThreadPoolExecutor(16) as threads:
        assert all(threads.map(ask, range(200)))


def test_nothing_of_one_request_is_left_for_the_next(http: httpx.Client) -> None:
    http.post("/pipeline", content=json.dumps([["MULTI"], ["SET", "k", "v"]]))
    assert http.get("/get/k").json() == {"result": "v"}
