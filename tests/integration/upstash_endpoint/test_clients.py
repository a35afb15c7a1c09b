"""The published Python client, used as its documentation shows."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from upstash_redis import Redis
from upstash_redis.asyncio import Redis as AsyncRedis
from upstash_redis.errors import UpstashError

from upstash_endpoint.endpoint import UpstashEndpoint

TEXT = 'ü😀 "quoted"\r\n\0'


@pytest.fixture(params=["base64", None])
def client(endpoint: UpstashEndpoint, request: pytest.FixtureRequest) -> Iterator[Redis]:
    with Redis(endpoint.url, endpoint.token, rest_encoding=request.param, rest_retries=0) as client:
        yield client


@pytest_asyncio.fixture
async def async_client(endpoint: UpstashEndpoint) -> AsyncIterator[AsyncRedis]:
    async with AsyncRedis(endpoint.url, endpoint.token, rest_retries=0) as client:
        yield client


def test_data_types_are_read_as_written(client: Redis) -> None:
    assert client.set("k", TEXT, ex=100, nx=True)
    assert not client.set("k", "other", nx=True)
    assert client.mget("k", "none") == [TEXT, None]
    assert client.incrbyfloat("f", 0.1) == 0.1
    assert client.getdel("k") == TEXT
    client.set("k", "OK")
    assert client.get("k") == "OK"  # and not the status
    assert client.hset("h", values={"a": TEXT, "b": 1}) == 2
    assert client.hgetall("h") == {"a": TEXT, "b": "1"}
    assert client.rpush("l", "a", "b") == 2
    assert client.lpop("l", 2) == ["a", "b"]
    client.sadd("s", "a", "b")
    assert client.smismember("s", "a", "x") == [1, 0]
    client.zadd("z", {"a": 1.5, "b": 1e20})
    assert client.zrange("z", 0, -1, withscores=True) == [("a", 1.5), ("b", 1e20)]
    client.geoadd("g", (13.361389, 38.115556, "Palermo"), (15.087269, 37.502669, "Catania"))
    assert client.geodist("g", "Palermo", "Catania", unit="KM") == 166.2742
    assert client.bitfield("b").set("u8", 0, 255).get("u4", 0).execute() == [0, 15]
    added = client.xadd("st", "*", {"f": TEXT})
    assert [list(entry) for entry in client.xrange("st", "-", "+")] == [[added, ["f", TEXT]]]
    assert client.pfadd("hll", "a", "b") == 1
    client.mset({f"k:{n}": str(n) for n in range(50)})
    assert len(client.scan(0, match="k:*", count=1000)[1]) == 50


def test_scripts_run_by_their_digest(client: Redis) -> None:
    sha = client.script_load("return {KEYS[1], tonumber(ARGV[1])}")
    assert client.evalsha(sha, keys=["k"], args=["7"]) == ["k", 7]
    assert client.script_exists(sha, "0" * 40) == [True, False]
    with pytest.raises(UpstashError, match="NOSCRIPT"):
        client.evalsha("0" * 40)


def test_pipeline_and_transaction_return_all_results(client: Redis) -> None:
    for batch in (client.pipeline(), client.multi()):
        batch.set("n", 1).incr("n").get("n").hgetall("none")
        assert batch.exec() == [True, 2, "2", {}]


def test_error_of_redis_is_raised_on_one_connection(
    client: Redis, endpoint: UpstashEndpoint
) -> None:
    client.lpush("l", "v")
    for _ in range(5):
        with pytest.raises(UpstashError, match=r"^WRONGTYPE Operation against a key holding"):
            client.incr("l")
    assert endpoint.meter.read().connections == 1


async def test_async_client_works_too(async_client: AsyncRedis) -> None:
    assert await async_client.set("k", TEXT)
    assert await async_client.get("k") == TEXT
    pipeline = async_client.pipeline()
    pipeline.incr("n").incr("n")
    assert await pipeline.exec() == [1, 2]
    with pytest.raises(UpstashError, match="unknown command"):
        await async_client.execute(["NOPE"])
