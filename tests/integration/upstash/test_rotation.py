"""Secrets that change in SSM reach a warm environment, with no deployment and in time."""

import asyncio
import time
from collections.abc import Callable, Iterator
from threading import Barrier, Thread
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient
from langchain_core.outputs import Generation
from moto import mock_aws
from tests.faults import socket_servers
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
KEYS = ["AQEB" * 10 + "AQE=", "AgIC" * 10 + "AgI="]
ANSWER = [Generation(text="answer")]
Lookup = Callable[[UpstashRedisCache], object]


class Database:
    """One whose token is rotated: made anew, put into SSM, and the one before it withdrawn."""

    def __init__(self, upstash: UpstashEndpoint, redis: Redis) -> None:
        self.upstash, self.redis = upstash, redis
        self.put(URL, upstash.url)
        self.rotate("first")

    def put(self, name: str, value: str) -> None:
        client = boto3.client("ssm")
        client.put_parameter(Name=name, Value=value, Type="SecureString", Overwrite=True)

    def rotate(self, user: str) -> None:
        self.redis.execute(["ACL", "SETUSER", user, "on", ">password", "~*", "+@all"])
        self.put(TOKEN, str(self.redis.execute(["ACL", "RESTTOKEN", user, "password"])))

    def withdraw(self, user: str) -> None:
        self.redis.execute(["ACL", "DELUSER", user])


@pytest.fixture
def database(
    upstash: UpstashEndpoint, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Database]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        made = Database(upstash, redis)
        yield made
        for user in ("first", "second"):
            made.withdraw(user)


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The calls of SSM that read."""
    made, call = list[str](), BaseClient._make_api_call

    def noted(client: Any, operation: str, parameters: Any) -> Any:
        made.extend([operation] if operation.startswith("Get") else [])
        return call(client, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", noted)
    return made


def lookup(cache: UpstashRedisCache) -> object:
    return cache.lookup("p", "model")


def alookup(cache: UpstashRedisCache) -> object:
    return asyncio.run(cache.alookup("p", "model"))


async def several(cache: UpstashRedisCache) -> list[object]:
    """Look up before, while and after the token is found, on one event loop."""
    at_once = await asyncio.gather(*(cache.alookup("p", "model") for _ in range(5)))
    return [*at_once, await cache.alookup("p", "model")]


def eventually(holds: Callable[[], bool]) -> None:
    """Wait for what happens beside."""
    wait_until(holds, seconds=60, what="it")


@pytest.mark.parametrize("look", [lookup, alookup])
def test_a_rotated_token_costs_not_even_the_lookup_that_finds_it_out(
    database: Database, called: list[str], look: Lookup
) -> None:
    cache = UpstashRedisCache.from_env(NAMES)
    cache.update("p", "model", ANSWER)
    assert look(cache) == ANSWER
    database.rotate("second")
    database.withdraw("first")
    with cache.policy() as report:
        assert [look(cache) for _ in range(3)] == [ANSWER] * 3
    assert report.errors == 0
    assert called == ["GetParameters"] * 2


async def test_tasks_that_find_it_out_together_ask_ssm_once(
    database: Database, called: list[str]
) -> None:
    cache = UpstashRedisCache.from_env(NAMES)
    await cache.aupdate("p", "model", ANSWER)
    database.rotate("second")
    database.withdraw("first")
    assert await several(cache) == [ANSWER] * 6
    assert called == ["GetParameters"] * 2


def test_threads_that_find_it_out_together_ask_ssm_once(
    database: Database, called: list[str]
) -> None:
    cache = UpstashRedisCache.from_env(NAMES)
    cache.update("p", "model", ANSWER)
    database.rotate("second")
    database.withdraw("first")
    found, ready = list[object](), Barrier(5)

    def work() -> None:
        ready.wait()
        found.append(lookup(cache))

    threads = [Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [ANSWER] * 5
    assert called == ["GetParameters"] * 2


def test_a_clear_finds_the_new_token_too(database: Database) -> None:
    namespace = CacheNamespace.from_env(NAMES)
    namespace.clear()
    database.rotate("second")
    database.withdraw("first")
    namespace.clear()


@pytest.mark.parametrize("look", [lookup, alookup])
def test_a_token_that_is_wrong_everywhere_is_no_flood_of_calls(
    database: Database, called: list[str], look: Lookup
) -> None:
    database.put(TOKEN, "wrong")
    cache = UpstashRedisCache.from_env(NAMES)
    with cache.policy() as report:
        assert [look(cache) for _ in range(20)] == [None] * 20
    assert called == ["GetParameters"] * 2  # the first time, and once more
    assert {outcome.detail for outcome in report.outcomes} == {
        "WRONGPASS invalid or missing auth token"
    }
    assert cache.circuit is Circuit.CLOSED
    with pytest.raises(StoreRefused, match="WRONGPASS"):
        cache.clear()


@pytest.mark.timed
@pytest.mark.parametrize("look", [lookup, alookup])
def test_an_ssm_that_hangs_costs_one_lookup_its_time_and_no_more(
    database: Database, monkeypatch: pytest.MonkeyPatch, look: Lookup
) -> None:
    cache = UpstashRedisCache.from_env(NAMES)
    cache.update("p", "model", ANSWER)
    database.withdraw("first")
    cache._runner.timeout = SHORT
    with socket_servers.serving(socket_servers.silent) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SSM", url)
        began = time.monotonic()
        assert look(cache) is None
        assert time.monotonic() - began < SHORT + MARGIN
    cache._runner.store._credentials.refresh().result(60)  # nothing answers any more


def test_an_ssm_that_fails_is_logged_and_changes_nothing(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    cache = UpstashRedisCache.from_env(NAMES)
    cache.update("p", "model", ANSWER)
    database.withdraw("first")
    boto3.client("ssm").delete_parameter(Name=TOKEN)
    with cache.policy() as report:
        assert [lookup(cache) for _ in range(3)] == [None] * 3
    assert [outcome.detail[:9] for outcome in report.outcomes] == ["WRONGPASS"] * 3
    told = [text for text in caplog.messages if "not read anew" in text]
    assert told == [
        f"the secrets were not read anew: SSM did not give {URL}, {TOKEN}: GetParameterError"
    ]


@pytest.mark.parametrize("look", [lookup, alookup])
def test_old_secrets_are_read_anew_while_the_known_ones_serve(
    database: Database, look: Lookup
) -> None:
    cache = UpstashRedisCache.from_env({**NAMES, "LLM_CACHE_SECRETS_MAX_AGE": "0.01"})
    cache.update("p", "model", ANSWER)
    client = cache._runner.store._credentials
    first = client.known
    database.rotate("second")  # the first one stays in force
    time.sleep(0.01)
    assert look(cache) == ANSWER
    eventually(lambda: client.known != first)
    database.withdraw("first")
    with cache.policy() as report:
        assert look(cache) == ANSWER
    assert report.errors == 0


def test_keys_of_a_protection_that_were_rotated_reach_a_warm_environment(
    database: Database,
) -> None:
    database.put(KEY, KEYS[0])
    named = {**NAMES, "LLM_CACHE_SIGNING_KEY_PARAMETER": KEY}
    warm = UpstashRedisCache.from_env({**named, "LLM_CACHE_SECRETS_MAX_AGE": "0.01"})
    warm.update("p", "model", ANSWER)
    client = warm._runner.store._client
    database.put(KEY, f"{KEYS[1]} {KEYS[0]}")
    eventually(lambda: told_by(warm) == told_by(UpstashRedisCache.from_env(named)))
    UpstashRedisCache.from_env(named).update("q", "model", ANSWER)
    assert [warm.lookup(prompt, "model") for prompt in "pq"] == [ANSWER] * 2
    assert warm._runner.store._client is client  # it leads where it did


def told_by(cache: UpstashRedisCache) -> list[str]:
    """Return the names of the keys that a cache protects with."""
    cache.lookup("p", "model")
    return list(cache._runner.store.secrets().protection._keys)


def test_secrets_given_as_values_are_never_read_anew(
    upstash: UpstashEndpoint, called: list[str]
) -> None:
    given = {"UPSTASH_REDIS_REST_URL": upstash.url, "UPSTASH_REDIS_REST_TOKEN": "wrong"}
    cache = UpstashRedisCache.from_env(
        {"LLM_CACHE_SECRETS_MAX_AGE": "0.01", **given}, namespace="n"
    )
    first = [lookup(cache), cache._runner.store._credentials.known]
    time.sleep(0.01)
    assert [lookup(cache), cache._runner.store._credentials.known] == first
    assert cache._runner.store._credentials.known is first[1]
    assert called == []
