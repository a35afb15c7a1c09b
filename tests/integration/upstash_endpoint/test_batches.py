import httpx
import pytest

from upstash_endpoint.endpoint import UpstashEndpoint
from upstash_endpoint.redis_server import RedisServer

EXAMPLE = [
    ["SET", "key1", "valuex"],
    ["SETEX", "key2", 13, "valuez"],
    ["INCR", "key1"],
    ["ZADD", "myset", 11, "item1", 22, "item2"],
]
EXAMPLE_REPLIES = [
    {"result": "OK"},
    {"result": "OK"},
    {"error": "ERR value is not an integer or out of range"},
    {"result": 2},
]


@pytest.mark.parametrize("path", ["/pipeline", "/multi-exec"])
def test_each_command_gets_a_result_or_an_error(http: httpx.Client, path: str) -> None:
    response = http.post(path, json=EXAMPLE)
    assert response.status_code == 200
    assert response.json() == EXAMPLE_REPLIES


def test_refused_and_empty_commands_in_a_pipeline_fail_in_their_place(http: httpx.Client) -> None:
    replies = http.post("/pipeline", json=[["PING"], ["BLPOP", "k", 1], [], ["PING"]]).json()
    assert replies[0] == replies[3] == {"result": "PONG"}
    assert replies[1]["error"].startswith("ERR Command is not available: 'BLPOP'")
    assert replies[2] == {"error": "ERR empty pipeline command"}


@pytest.mark.parametrize(
    "bad", [["NOPE"], ["GET"], ["BLPOP", "k", 1], [], ["MULTI"], ["WATCH", "k"]]
)
def test_transaction_with_a_bad_command_is_discarded_whole(
    http: httpx.Client, redis: RedisServer, bad: list[object]
) -> None:
    response = http.post("/multi-exec", json=[["SET", "k", "v"], bad])
    assert response.status_code == 400
    assert list(response.json()) == ["error"]
    assert redis.call("EXISTS", "k") == 0


def test_discarded_transaction_says_which_command_was_wrong(http: httpx.Client) -> None:
    response = http.post("/multi-exec", json=[["PING"], ["NOPE"]])
    assert response.json() == {"error": "ERR unknown command 'NOPE', with args beginning with: "}


def test_connection_of_a_discarded_transaction_is_clean(http: httpx.Client) -> None:
    for _ in range(5):
        http.post("/multi-exec", json=[["NOPE"]])
        assert http.get("/ping").json() == {"result": "PONG"}


def test_transaction_needs_the_permission_for_it(
    http: httpx.Client, redis: RedisServer, endpoint: UpstashEndpoint
) -> None:
    redis.call("ACL", "SETUSER", "bob", "on", ">pw", "~*", "+@all", "-multi")
    redis.call("ACL", "SETUSER", "eve", "on", ">pw", "~*", "+@all", "-exec")
    for user in ("bob", "eve"):
        token = http.post("/", json=["ACL", "RESTTOKEN", user, "pw"]).json()["result"]
        headers = {"Authorization": f"Bearer {token}"}
        response = http.post("/multi-exec", json=[["SET", "k", "v"]], headers=headers)
        assert f"NOPERM User {user} has no permissions" in response.json()["error"]
        assert redis.call("EXISTS", "k") == 0
        assert http.get("/ping", headers=headers).json() == {"result": "PONG"}


@pytest.mark.parametrize("path", ["/pipeline", "/multi-exec"])
@pytest.mark.parametrize(
    "body", ["", "[", "[]", "{}", '["PING"]', '[["SET", "k", null]]', '[["PING"], "PING"]']
)
def test_body_that_is_no_batch_is_refused(http: httpx.Client, path: str, body: str) -> None:
    response = http.post(path, content=body)
    assert response.status_code == 400
    assert list(response.json()) == ["error"]


def test_long_pipeline_keeps_its_order(http: httpx.Client) -> None:
    replies = http.post("/pipeline", json=[["INCR", "n"]] * 5000).json()
    assert replies == [{"result": n} for n in range(1, 5001)]
