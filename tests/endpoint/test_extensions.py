import httpx

from local_cloud.redis_server import RedisServer


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
