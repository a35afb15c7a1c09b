from pathlib import Path

import httpx
import pytest

from upstash_endpoint.endpoint import UpstashEndpoint
from upstash_endpoint.meter import Reading
from upstash_endpoint.redis_server import RedisServer


def test_meter_counts_requests_commands_and_bytes(
    http: httpx.Client, endpoint: UpstashEndpoint
) -> None:
    http.post("/", content=b'["SET","k","v"]')
    http.get("/get/k")
    assert endpoint.meter.read() == Reading(
        requests=2,
        commands=2,
        bytes_in=len('/["SET","k","v"]/get/k'),
        bytes_out=len('{"result":"OK"}{"result":"v"}'),
        connections=1,
        recent=(("SET", "k", "v"), ("get", "k")),
    )
    endpoint.meter.reset()
    assert endpoint.meter.read() == Reading()


def test_batch_counts_as_one_request_of_many_commands(
    http: httpx.Client, endpoint: UpstashEndpoint
) -> None:
    http.post("/pipeline", json=[["PING"]] * 3)
    http.post("/multi-exec", json=[["PING"]] * 4)
    reading = endpoint.meter.read()
    assert (reading.requests, reading.commands) == (2, 7)


def test_each_new_connection_is_counted(endpoint: UpstashEndpoint) -> None:
    for _ in range(3):
        httpx.get(f"{endpoint.url}/ping?_token={endpoint.token}")
    assert endpoint.meter.read().connections == 3


def test_spawned_endpoint_is_read_and_reset_by_http(redis: RedisServer, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with UpstashEndpoint.spawn(redis, token="t", read_only_token="ro", log=log) as spawned:
        assert httpx.get(f"{spawned.url}/set/k/ü?_token=t").json() == {"result": "OK"}
        assert httpx.get(f"{spawned.url}/get/k?_token=ro").json() == {"result": "ü"}
        reading = spawned.meter.read()
        assert (reading.requests, reading.recent) == (2, (("set", "k", "ü"), ("get", "k")))
        spawned.meter.reset()
        assert spawned.meter.read() == Reading()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{spawned.url}/ping?_token=t")


def test_stopped_endpoint_releases_its_port(redis: RedisServer) -> None:
    with UpstashEndpoint.start(redis) as endpoint, httpx.Client(base_url=endpoint.url) as kept:
        assert kept.get(f"/ping?_token={endpoint.token}").status_code == 200
    port = int(endpoint.url.rsplit(":", 1)[1])
    with UpstashEndpoint.start(redis, port=port) as again:
        assert again.url == endpoint.url
