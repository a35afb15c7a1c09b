import base64

import httpx
import pytest

from upstash_endpoint.redis_server import RedisServer

BASE64 = {"Upstash-Encoding": "base64"}
RESP2 = {"Upstash-Response-Format": "resp2"}


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("lua", "result"),
    [
        ("return 7", 7),
        ("return 'v'", "v"),
        ("return redis.status_reply('FINE')", "FINE"),
        ("return false", None),
        ("return {}", []),
        ("return {1, {'a', {false}}, redis.status_reply('OK')}", [1, ["a", [None]], "OK"]),
        ("return {1, redis.error_reply('MY error')}", [1, "MY error"]),
        ("return 'a\\255b'", "a\ufffdb"),  # not UTF-8
    ],
)
def test_reply_of_redis_becomes_json(http: httpx.Client, lua: str, result: object) -> None:
    assert http.post("/", json=["EVAL", lua, 0]).json() == {"result": result}


def test_integer_keeps_all_its_digits(http: httpx.Client) -> None:
    http.get("/set/k/-9007199254740993")
    assert http.get("/decrby/k/1").text == '{"result":-9007199254740994}'


def test_unicode_is_sent_as_utf8(http: httpx.Client) -> None:
    response = http.get("/echo/%F0%9F%98%80%C3%BC")
    assert response.content == '{"result":"😀ü"}'.encode()


def test_base64_encodes_every_string_but_the_status_ok(
    http: httpx.Client, redis: RedisServer
) -> None:
    batch = [
        ["SET", "k", "OK"],
        ["GET", "k"],
        ["MGET", "k", "none"],
        ["PING"],
        ["INCR", "n"],
        ["EVAL", "return {'a', {1, 'b', redis.status_reply('OK')}}", 0],
        ["NOPE"],
    ]
    assert http.post("/pipeline", json=batch, headers=BASE64).json() == [
        {"result": "OK"},
        {"result": b64("OK")},
        {"result": [b64("OK"), None]},
        {"result": b64("PONG")},
        {"result": 1},
        {"result": [b64("a"), [1, b64("b"), "OK"]]},
        {"error": "ERR unknown command 'NOPE', with args beginning with: "},
    ]
    redis.call("SET", "k", bytes(range(256)))
    encoded = http.get("/get/k", headers=BASE64).json()["result"]
    assert base64.b64decode(encoded) == bytes(range(256))


def test_resp2_is_the_reply_of_redis_byte_for_byte(http: httpx.Client) -> None:
    batch = [
        ["SET", "k", "OK"],
        ["GET", "k"],
        ["MGET", "k", "none"],
        ["LMPOP", 1, "none", "LEFT"],
        ["INCR", "k"],
        ["SUBSCRIBE", "c"],
    ]
    response = http.post("/pipeline", json=batch, headers=RESP2)
    assert response.headers["content-type"] == "application/octet-stream"
    assert response.content == (
        b"+OK\r\n$2\r\nOK\r\n*2\r\n$2\r\nOK\r\n$-1\r\n*-1\r\n"
        b"-ERR value is not an integer or out of range\r\n"
        b'-ERR Command "SUBSCRIBE" is not allowed in REST or it has a special context path\r\n'
    )
    failed = http.get("/nope", headers=RESP2)
    assert failed.status_code == 400
    assert failed.content == b"-ERR unknown command 'nope', with args beginning with: \r\n"


def test_resp2_does_not_apply_to_transactions(http: httpx.Client) -> None:
    response = http.post("/multi-exec", json=[["PING"]], headers=RESP2)
    assert response.json() == [{"result": "PONG"}]


@pytest.mark.parametrize("headers", [{"Upstash-Response-Format": "resp3"}, {**RESP2, **BASE64}])
def test_format_that_upstash_lacks_is_refused(http: httpx.Client, headers: dict[str, str]) -> None:
    response = http.get("/ping", headers=headers)
    assert response.status_code == 400
    assert "error" in response.json()


@pytest.mark.parametrize(
    "command",
    [["INCR", "list"], ["NOPE", "a", "b"], ["GET"], ["EVAL", "return x", 0], ["EVALSHA", "f", 0]],
)
def test_error_of_redis_is_returned_word_for_word(
    http: httpx.Client, redis: RedisServer, command: list[str | int]
) -> None:
    redis.call("LPUSH", "list", "v")
    response, expected = http.post("/", json=command), redis.call(*command)
    assert isinstance(expected, bytes)
    assert (response.status_code, response.json()) == (400, {"error": expected.decode()})


def test_sync_token_changes_with_every_reply(http: httpx.Client) -> None:
    tokens = {http.get("/ping").headers["Upstash-Sync-Token"] for _ in range(5)}
    assert len(tokens) == 5
