"""Secrets that change in SSM reach a warm environment, without a deployment."""

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from langchain_core.outputs import Generation
from tests.faults import socket_servers
from tests.integration.upstash.conftest import PutParameter
from upstash_redis import Redis

from llm_cache import CacheNamespace, Circuit, StoreRefused, UpstashRedisCache
from upstash_endpoint.children import wait_until
from upstash_endpoint.endpoint import UpstashEndpoint

URL, TOKEN, KEY = "/cache/url", "/cache/token", "/cache/key"
SHORT, MARGIN = 0.5, 5.0  # seconds: of one command, and what a busy machine may add
NAMES = {
    "LLM_CACHE_URL_PARAMETER": URL,
    "LLM_CACHE_TOKEN_PARAMETER": TOKEN,
    "LLM_CACHE_NAMESPACE": "ssm",
    "LLM_CACHE_TIMEOUT": "10",
}
SHORT_LIVED = {"LLM_CACHE_SECRETS_MAX_AGE": "0.01"}
KEYS = ["AQEB" * 10 + "AQE=", "AgIC" * 10 + "AgI="]
ANSWER = [Generation(text="answer")]
Lookup = Callable[[UpstashRedisCache], object]


class Database:
    """A database with the token of the user ``first`` in SSM, which can be replaced."""

    def __init__(self, upstash: UpstashEndpoint, redis: Redis, put: PutParameter) -> None:
        self.redis, self.put = redis, put
        put(URL, upstash.url)
        self.add_token("first")

    def add_token(self, user: str) -> None:
        self.redis.execute(["ACL", "SETUSER", user, "on", ">password", "~*", "+@all"])
        self.put(TOKEN, str(self.redis.execute(["ACL", "RESTTOKEN", user, "password"])))

    def withdraw(self, user: str) -> None:
        self.redis.execute(["ACL", "DELUSER", user])

    def rotate(self) -> None:
        self.add_token("second")
        self.withdraw("first")


@pytest.fixture
def database(
    upstash: UpstashEndpoint, redis: Redis, put_parameter: PutParameter
) -> Iterator[Database]:
    database = Database(upstash, redis, put_parameter)
    yield database
    database.withdraw("first")
    database.withdraw("second")


@pytest.fixture
def cache(database: Database) -> UpstashRedisCache:
    """A cache that has read the first token and has stored an answer."""
    cache = UpstashRedisCache.from_env(NAMES)
    cache.update("p", "model", ANSWER)
    return cache


def lookup(cache: UpstashRedisCache) -> object:
    return cache.lookup("p", "model")


def alookup(cache: UpstashRedisCache) -> object:
    return asyncio.run(cache.alookup("p", "model"))


both = pytest.mark.parametrize("look", [lookup, alookup])


@both
def test_lookup_that_meets_a_rotated_token_is_a_hit(
    cache: UpstashRedisCache, database: Database, ssm_reads: list[object], look: Lookup
) -> None:
    assert look(cache) == ANSWER
    database.rotate()
    with cache.policy() as report:
        assert [look(cache) for _ in range(3)] == [ANSWER] * 3
    assert report.errors == 0
    assert len(ssm_reads) == 1


async def test_tasks_that_meet_a_rotated_token_together_read_ssm_once(
    cache: UpstashRedisCache, database: Database, ssm_reads: list[object]
) -> None:
    database.rotate()
    found = await asyncio.gather(*(cache.alookup("p", "model") for _ in range(5)))
    assert [*found, await cache.alookup("p", "model")] == [ANSWER] * 6
    assert len(ssm_reads) == 1


def test_threads_that_meet_a_rotated_token_together_read_ssm_once(
    cache: UpstashRedisCache, database: Database, ssm_reads: list[object]
) -> None:
    database.rotate()
    ready = Barrier(5)

    def work(_: int) -> object:
        ready.wait()
        return lookup(cache)

    with ThreadPoolExecutor(5) as threads:
        assert list(threads.map(work, range(5))) == [ANSWER] * 5
    assert len(ssm_reads) == 1


def test_clear_that_meets_a_rotated_token_succeeds(database: Database) -> None:
    namespace = CacheNamespace.from_env(NAMES)
    namespace.clear()
    database.rotate()
    namespace.clear()


@both
def test_token_that_is_also_wrong_in_ssm_causes_two_reads_and_opens_no_circuit(
    database: Database, ssm_reads: list[object], look: Lookup
) -> None:
    database.put(TOKEN, "wrong")
    cache = UpstashRedisCache.from_env(NAMES)
    with cache.policy() as report:
        assert [look(cache) for _ in range(20)] == [None] * 20
    assert len(ssm_reads) == 2  # on first use, and for the refused token
    details = {outcome.detail for outcome in report.outcomes}
    assert details == {"WRONGPASS invalid or missing auth token"}
    assert cache.circuit is Circuit.CLOSED
    with pytest.raises(StoreRefused, match="WRONGPASS"):
        cache.clear()


@pytest.mark.timed
@both
def test_hanging_ssm_takes_only_the_time_of_one_lookup(
    cache: UpstashRedisCache, database: Database, monkeypatch: pytest.MonkeyPatch, look: Lookup
) -> None:
    database.withdraw("first")
    cache._runner.timeout = SHORT
    with socket_servers.serving(socket_servers.silent) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SSM", url)
        began = time.monotonic()
        assert look(cache) is None
        assert time.monotonic() - began < SHORT + MARGIN
    cache._runner.store._credentials.refresh().result(60)  # the read ends before the test does


def test_rotated_protection_keys_reach_a_warm_environment(database: Database) -> None:
    def key_names(cache: UpstashRedisCache) -> list[str]:
        cache.lookup("p", "model")
        return list(cache._runner.store.secrets().protection._keys)

    database.put(KEY, KEYS[0])
    signing = {**NAMES, "LLM_CACHE_SIGNING_KEY_PARAMETER": KEY}
    warm = UpstashRedisCache.from_env({**signing, **SHORT_LIVED})
    warm.update("p", "model", ANSWER)
    client = warm._runner.store._client
    database.put(KEY, f"{KEYS[1]} {KEYS[0]}")
    new = key_names(UpstashRedisCache.from_env(signing))
    wait_until(lambda: key_names(warm) == new, seconds=60, what="the new keys")
    UpstashRedisCache.from_env(signing).update("q", "model", ANSWER)
    assert [warm.lookup(prompt, "model") for prompt in "pq"] == [ANSWER] * 2
    assert warm._runner.store._client is client  # address and token are the same


def test_secrets_in_the_environment_are_never_read_again(
    upstash: UpstashEndpoint, ssm_reads: list[object]
) -> None:
    values = {"UPSTASH_REDIS_REST_URL": upstash.url, "UPSTASH_REDIS_REST_TOKEN": "wrong"}
    cache = UpstashRedisCache.from_env({**SHORT_LIVED, **values}, namespace="n")
    assert lookup(cache) is None
    first = cache._runner.store._credentials.known
    time.sleep(0.01)
    assert lookup(cache) is None
    assert cache._runner.store._credentials.known is first
    assert ssm_reads == []
