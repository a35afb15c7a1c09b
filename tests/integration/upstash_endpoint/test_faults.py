import json
import socket
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import httpx
import pytest

from upstash_endpoint.children import wait_until
from upstash_endpoint.endpoint import UpstashEndpoint
from upstash_endpoint.redis_server import RedisServer
from upstash_endpoint.resp import pack

PONG = {"result": "PONG"}


def connect(endpoint: UpstashEndpoint) -> socket.socket:
    return socket.create_connection(("127.0.0.1", urlsplit(endpoint.url).port or 0))


def test_request_while_redis_is_down_fails_at_once_and_works_after_a_restart(
    own_http: httpx.Client, own_redis: RedisServer
) -> None:
    for _ in range(3):
        assert own_http.get("/ping").json() == PONG
        own_redis.kill()
        response = own_http.get("/ping")
        assert response.status_code == 503
        assert response.json()["error"].startswith("ERR the Redis server is unavailable")
        own_redis.restart()
    assert own_http.get("/ping").json() == PONG


def test_command_that_redis_may_have_run_is_not_repeated(
    own_http: httpx.Client, own_endpoint: UpstashEndpoint, own_redis: RedisServer
) -> None:
    own_http.get("/ping")
    with (
        socket.create_connection(("127.0.0.1", own_redis.port)) as killer,
        ThreadPoolExecutor() as threads,
    ):
        killer.sendall(pack([b"AUTH", own_redis.password.encode()]))
        killer.recv(100)
        # Redis reads both commands when it resumes, and drops the reply with the connection.
        own_redis.pause()
        waiting = threads.submit(own_http.post, "/incr/n")
        wait_until(lambda: own_endpoint.meter.read().commands == 2, seconds=60, what="the command")
        killer.sendall(pack([b"CLIENT", b"KILL", b"TYPE", b"normal"]))
        own_redis.resume()
        assert waiting.result().status_code == 503
    assert own_redis.call("GET", "n") in {None, b"1"}


def test_client_that_disconnects_before_the_reply_leaves_a_working_endpoint(
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


def test_client_that_disconnects_within_a_reply_leaves_a_working_endpoint(
    http: httpx.Client, endpoint: UpstashEndpoint
) -> None:
    http.post("/set/big", content=b"x" * 8_000_000)
    for _ in range(5):
        with connect(endpoint) as client:
            head = f"GET /get/big?_token={endpoint.token} HTTP/1.1\r\nHost: x\r\n\r\n"
            client.sendall(head.encode())
            client.recv(100)
        assert http.get("/echo/a").json() == {"result": "a"}


def test_client_that_disconnects_within_a_request_changes_nothing(
    http: httpx.Client, redis: RedisServer, endpoint: UpstashEndpoint
) -> None:
    with connect(endpoint) as client:
        head = f"POST /set/k?_token={endpoint.token} HTTP/1.1\r\nHost: x\r\n"
        client.sendall(f"{head}Content-Length: 10\r\n\r\nhalf".encode())
    assert http.get("/ping").json() == PONG
    assert redis.call("EXISTS", "k") == 0


def test_connection_that_redis_closed_is_not_reused(http: httpx.Client, redis: RedisServer) -> None:
    for _ in range(5):
        http.get("/ping")
        redis.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        assert http.get("/ping").json() == PONG


def test_concurrent_clients_get_their_own_replies(http: httpx.Client) -> None:
    def correct(n: int) -> bool:
        echoes = [["ECHO", f"{n}-{i}"] for i in range(n % 7)]
        batch = [*echoes, ["SET", f"k{n}", n], ["GET", f"k{n}"]]
        replies = http.post("/multi-exec" if n % 2 else "/pipeline", json=batch).json()
        expected = [*(text for _, text in echoes), "OK", str(n)]
        return [reply["result"] for reply in replies] == expected

    with ThreadPoolExecutor(16) as threads:
        assert all(threads.map(correct, range(200)))


def test_state_of_one_request_does_not_reach_the_next(http: httpx.Client) -> None:
    http.post("/pipeline", content=json.dumps([["MULTI"], ["SET", "k", "v"]]))
    assert http.get("/get/k").json() == {"result": "v"}
