import httpx
import pytest

from upstash_endpoint.redis_server import RedisServer


def test_scan_gives_types_when_asked(http: httpx.Client, redis: RedisServer) -> None:
    redis.call("SET", "a", "1")
    redis.call("LPUSH", "b", "1")
    cursor, items = http.post("/", json=["SCAN", 0, "COUNT", 100, "WITHTYPE"]).json()["result"]
    assert cursor == "0"
    assert dict(zip(items[::2], items[1::2], strict=True)) == {"a": "string", "b": "list"}


def test_scan_with_types_of_an_empty_database_is_an_empty_page(http: httpx.Client) -> None:
    response = http.get("/scan/0/withtype", headers={"Upstash-Response-Format": "resp2"})
    assert response.content == b"*2\r\n$1\r\n0\r\n*0\r\n"


def test_scan_with_types_keeps_the_errors_of_redis(http: httpx.Client) -> None:
    response = http.post("/", json=["SCAN", "x", "WITHTYPE"])
    assert response.json() == {"error": "ERR invalid cursor"}


def test_pattern_may_be_called_withtype(http: httpx.Client, redis: RedisServer) -> None:
    redis.call("SET", "WITHTYPE", "1")
    response = http.post("/", json=["SCAN", 0, "MATCH", "WITHTYPE"])
    assert response.json() == {"result": ["0", ["WITHTYPE"]]}


@pytest.mark.parametrize(
    ("shebang", "writes"),
    [
        ("#!lua flags=allow-key-locking", True),
        ("#!lua flags=allow-key-locking,no-writes", False),
        ("#!lua flags=no-writes,allow-key-locking", False),
        ("#!lua", True),
    ],
)
def test_script_may_ask_for_key_locking_and_keeps_its_other_flags(
    http: httpx.Client, shebang: str, writes: bool
) -> None:
    script = f"{shebang}\nreturn redis.call('SET', KEYS[1], ARGV[1])"
    reply = http.post("/", json=["EVAL", script, 1, "a", "allow-key-locking"]).json()
    assert ("result" in reply) == writes
    assert (http.get("/get/a").json()["result"] == "allow-key-locking") == writes


def test_loaded_script_that_asks_for_key_locking_runs_by_its_digest(http: httpx.Client) -> None:
    script = "#!lua flags=allow-key-locking\nreturn ARGV[1]"
    digest = http.post("/", json=["SCRIPT", "LOAD", script]).json()["result"]
    assert http.post("/", json=["EVALSHA", digest, 0, "b"]).json() == {"result": "b"}


def test_text_that_is_no_script_keeps_its_words(http: httpx.Client) -> None:
    text = "#!lua flags=allow-key-locking"
    http.post("/", json=["SET", "a", text])
    assert http.get("/get/a").json() == {"result": text}
