from collections.abc import Callable

import httpx
import pytest

from upstash_endpoint.redis_server import RedisServer


def result(response: httpx.Response) -> object:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("application/json")
    return response.json()["result"]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_command_is_a_path_or_a_json_array(http: httpx.Client, method: str) -> None:
    assert result(http.request(method, "/set/foo/bar/EX/100")) == "OK"
    assert result(http.request(method, "/ttl/foo")) == 100
    assert result(http.post("/", json=["get", "foo"])) == "bar"


def test_body_is_the_last_argument_before_the_query(http: httpx.Client, redis: RedisServer) -> None:
    assert result(http.post("/set/foo?EX=100", content=b"a/b c\xff\r\n")) == "OK"
    assert redis.call("GET", "foo") == b"a/b c\xff\r\n"
    assert redis.call("TTL", "foo") == 100


@pytest.mark.parametrize("flag", ["NX", "NX="])
def test_query_parameter_without_a_value_is_one_argument(http: httpx.Client, flag: str) -> None:
    assert result(http.post(f"/set/foo?EX=100&{flag}", content="1")) == "OK"
    assert result(http.post(f"/set/foo?EX=100&{flag}", content="2")) is None


def test_path_is_split_before_it_is_decoded(http: httpx.Client, redis: RedisServer) -> None:
    assert result(http.get("/set/a%2Fb%20c/%00%FF%C3%BC+")) == "OK"
    assert redis.call("GET", "a/b c") == b"\x00\xff\xc3\xbc+"


def test_empty_segment_is_an_argument_except_at_the_end(http: httpx.Client) -> None:
    assert result(http.get("/mset//1/k/2/")) == "OK"
    assert result(http.get("/mget//k/")) == ["1", "2"]
    assert result(http.post("/set/foo/", content="bar")) == "OK"
    assert result(http.get("/get/foo")) == "bar"


@pytest.mark.parametrize(
    ("method", "status"), [("HEAD", 200), ("DELETE", 405), ("PATCH", 405), ("OPTIONS", 405)]
)
def test_only_get_head_post_and_put_are_allowed(
    http: httpx.Client, method: str, status: int
) -> None:
    response = http.request(method, "/get/foo")
    assert response.status_code == status
    assert ("error" in response.text) == (status == 405)
    assert bool(response.content) == (status == 405)


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("1.10", b"1.10"),
        ("1e3", b"1e3"),
        ("-0", b"-0"),
        ("123456789012345678901234567890", b"123456789012345678901234567890"),
        ("0.1234567890123456789", b"0.1234567890123456789"),
        ("true", b"true"),
        ("false", b"false"),
        (r'"\u00fc\ud83d\ude00\u0000"', "ü😀\0".encode()),
        (r'"\ud83d"', "\ufffd".encode()),
        ('""', b""),
    ],
)
def test_argument_reaches_redis_as_written(
    http: httpx.Client, redis: RedisServer, sent: str, stored: bytes
) -> None:
    assert result(http.post("/", content=f'["SET", "k", {sent}]')) == "OK"
    assert redis.call("GET", "k") == stored


@pytest.mark.parametrize(
    ("path", "body", "error"),
    [
        ("/", "", "ERR failed to parse command"),
        ("/", "[1", "ERR failed to parse command"),
        ("/", '["SET", "k", NaN]', "ERR failed to parse command"),
        ("/", "[" * 200_000, "ERR failed to parse command"),
        ("/", '{"SET": "k"}', "ERR failed to parse command: expected JSON array"),
        ("/", '"PING"', "ERR failed to parse command: expected JSON array"),
        ("/", "[]", "ERR empty command"),
        ("/", '[""]', "ERR Command is not available: ''."),
        ("/", '["SET", "k", null]', "ERR null args are not supported"),
        ("/", '["SET", "k", ["v"]]', 'ERR unsupported arg type: "[": json.Delim'),
        ("/", '["SET", "k", {"v": 1}]', 'ERR unsupported arg type: "{": json.Delim'),
        ("//pipeline", '[["PING"]]', "ERR Command is not available: ''"),  # a URL ending in "/"
    ],
)
def test_invalid_command_is_refused(http: httpx.Client, path: str, body: str, error: str) -> None:
    response = http.post(f"{str(http.base_url).rstrip('/')}{path}", content=body)
    assert response.status_code == 400
    assert response.json()["error"].startswith(error)


def test_command_of_more_than_ten_megabytes_is_refused(
    http: httpx.Client, run: Callable[..., object]
) -> None:
    assert result(http.post("/set/k", content=b"x" * (10 * 1024 * 1024 - 100))) == "OK"
    response = http.post("/set/k", content=b"x" * (10 * 1024 * 1024))
    assert response.status_code == 413
    assert response.json()["error"].startswith(
        "ERR max request size exceeded. Limit: 10485760 bytes, Actual: 10485"
    )
    assert run("STRLEN", "k") == 10 * 1024 * 1024 - 100


def test_limit_applies_to_each_command_of_a_pipeline(http: httpx.Client) -> None:
    batch = [["SET", f"k{n}", "x" * 6_000_000] for n in range(2)]
    assert http.post("/pipeline", json=batch).json() == [{"result": "OK"}] * 2
    too_long = http.post("/", json=["MGET", "k0", "k1"])
    assert too_long.json()["error"].startswith("ERR max request size exceeded")


def test_long_path_is_accepted(http: httpx.Client, run: Callable[..., object]) -> None:
    assert result(http.get("/set/k/" + "x" * 60_000)) == "OK"
    assert run("STRLEN", "k") == 60_000
