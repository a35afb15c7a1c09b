import httpx
import pytest

from upstash_endpoint.redis_server import RedisServer


def test_scan_with_types_returns_each_key_and_its_type(
    http: httpx.Client, redis: RedisServer
) -> None:
    empty = http.get("/scan/0/withtype", headers={"Upstash-Response-Format": "resp2"})
    assert empty.content == b"*2\r\n$1\r\n0\r\n*0\r\n"
    redis.call("SET", "a", "1")
    redis.call("LPUSH", "b", "1")
    cursor, items = http.post("/", json=["SCAN", 0, "COUNT", 100, "WITHTYPE"]).json()["result"]
    assert cursor == "0"
    assert dict(zip(items[::2], items[1::2], strict=True)) == {"a": "string", "b": "list"}


def test_scan_with_types_returns_errors_of_redis(http: httpx.Client) -> None:
    response = http.post("/", json=["SCAN", "x", "WITHTYPE"])
    assert response.json() == {"error": "ERR invalid cursor"}


def test_withtype_can_be_a_pattern(http: httpx.Client, redis: RedisServer) -> None:
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
def test_key_locking_flag_is_removed_and_others_are_kept(
    http: httpx.Client, shebang: str, writes: bool
) -> None:
    script = f"{shebang}\nreturn redis.call('SET', KEYS[1], ARGV[1])"
    reply = http.post("/", json=["EVAL", script, 1, "a", "allow-key-locking"]).json()
    assert ("result" in reply) == writes
    assert (http.get("/get/a").json()["result"] == "allow-key-locking") == writes


def test_loaded_script_with_the_flag_runs_by_its_digest(http: httpx.Client) -> None:
    script = "#!lua flags=allow-key-locking\nreturn ARGV[1]"
    digest = http.post("/", json=["SCRIPT", "LOAD", script]).json()["result"]
    assert http.post("/", json=["EVALSHA", digest, 0, script]).json() == {"result": script}
