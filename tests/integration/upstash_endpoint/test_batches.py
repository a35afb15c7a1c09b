import httpx
import pytest

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
PONG = {"result": "PONG"}


@pytest.mark.parametrize("path", ["/pipeline", "/multi-exec"])
def test_each_command_gets_a_result_or_an_error(http: httpx.Client, path: str) -> None:
    response = http.post(path, json=EXAMPLE)
    assert (response.status_code, response.json()) == (200, EXAMPLE_REPLIES)


def test_refused_and_empty_commands_of_a_pipeline_get_errors(http: httpx.Client) -> None:
    replies = http.post("/pipeline", json=[["PING"], ["BLPOP", "k", 1], [], ["PING"]]).json()
    assert replies[0] == replies[3] == PONG
    assert replies[1]["error"].startswith("ERR Command is not available: 'BLPOP'")
    assert replies[2] == {"error": "ERR empty pipeline command"}


@pytest.mark.parametrize(
    ("command", "error"),
    [
        (["NOPE"], "ERR unknown command 'NOPE', with args beginning with: "),
        (["GET"], "ERR wrong number"),
        (["BLPOP", "k", 1], "ERR Command is not"),
        ([], "ERR empty command"),
        (["MULTI"], "ERR Command"),
        (["WATCH", "k"], "ERR Command"),
    ],
)
def test_transaction_with_an_invalid_command_is_discarded(
    http: httpx.Client, redis: RedisServer, command: list[object], error: str
) -> None:
    response = http.post("/multi-exec", json=[["SET", "k", "v"], command])
    assert response.status_code == 400
    assert list(response.json()) == ["error"]
    assert response.json()["error"].startswith(error)
    assert redis.call("EXISTS", "k") == 0
    assert http.get("/ping").json() == PONG  # its connection can be used again


@pytest.mark.parametrize("denied", ["-multi", "-exec"])
def test_transaction_requires_its_permissions(
    http: httpx.Client, redis: RedisServer, denied: str
) -> None:
    redis.call("ACL", "SETUSER", "bob", "on", ">pw", "~*", "+@all", denied)
    token = http.post("/", json=["ACL", "RESTTOKEN", "bob", "pw"]).json()["result"]
    headers = {"Authorization": f"Bearer {token}"}
    response = http.post("/multi-exec", json=[["SET", "k", "v"]], headers=headers)
    assert "NOPERM User bob has no permissions" in response.json()["error"]
    assert redis.call("EXISTS", "k") == 0
    assert http.get("/ping", headers=headers).json() == PONG


@pytest.mark.parametrize("path", ["/pipeline", "/multi-exec"])
@pytest.mark.parametrize(
    "body", ["", "[", "[]", "{}", '["PING"]', '[["SET", "k", null]]', '[["PING"], "PING"]']
)
def test_invalid_batch_is_refused(http: httpx.Client, path: str, body: str) -> None:
    response = http.post(path, content=body)
    assert response.status_code == 400
    assert list(response.json()) == ["error"]


def test_long_pipeline_keeps_its_order(http: httpx.Client) -> None:
    replies = http.post("/pipeline", json=[["INCR", "n"]] * 5000).json()
    assert replies == [{"result": n} for n in range(1, 5001)]
