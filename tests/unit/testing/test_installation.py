"""Which caches use the database in memory, and what is left when a test ends."""

import os
import socket

import pytest
from upstash_redis import Redis

from llm_cache import (
    CacheNamespace,
    Circuit,
    MemoryTier,
    Reason,
    ResponseCache,
    StoreUnavailable,
    UpstashRedisCache,
)
from llm_cache.testing import FakeModel, InMemoryUpstash, assert_hit, assert_miss
from llm_cache.testing._installation import installed

ANSWER = {"text": "answer"}
ENVIRON = {
    "UPSTASH_REDIS_REST_URL": "https://made-at-import.invalid",
    "UPSTASH_REDIS_REST_TOKEN": "token",
}
PARAMETERS = {
    "LLM_CACHE_URL_PARAMETER": "/shop/url",
    "LLM_CACHE_TOKEN_PARAMETER": "/shop/token",
    "LLM_CACHE_SIGNING_KEY_PARAMETER": "/shop/key",
}
MADE_AT_IMPORT = ResponseCache.from_env(version="1", environ=ENVIRON, namespace="shop")
IN_SSM = ResponseCache.from_env(version="1", environ=PARAMETERS, namespace="shop")
WITH_MEMORY = ResponseCache(
    Redis("https://made-at-import.invalid", "t"), version="1", memory=MemoryTier(seconds=60)
)


@pytest.fixture(autouse=True)
def resolved(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of hosts that anything has tried to resolve."""
    hosts: list[str] = []

    def resolve(host: str, *_: object, **__: object) -> None:
        hosts.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "unknown host")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return hosts


@pytest.mark.parametrize(
    "cache", [MADE_AT_IMPORT, IN_SSM, WITH_MEMORY], ids=["URL", "SSM", "Redis"]
)
async def test_cache_made_before_the_fixture_uses_it_and_no_network(
    upstash: InMemoryUpstash, cache: ResponseCache, resolved: list[str]
) -> None:
    with cache.policy() as report:
        cache.update("a", ANSWER)
        assert cache.lookup("a") == await cache.alookup("a") == ANSWER
    assert report.errors == 0
    assert upstash.commands == ["EVAL", "MGET", "MGET"][: len(upstash.commands)]
    assert resolved == []


@pytest.mark.parametrize("turn", [1, 2])
@pytest.mark.parametrize("cache", [MADE_AT_IMPORT, WITH_MEMORY], ids=["", "memory tier"])
def test_no_answer_of_one_test_reaches_the_next(
    upstash: InMemoryUpstash, cache: ResponseCache, turn: int
) -> None:
    with cache.policy() as report:
        assert cache.lookup("a") is None
    assert_miss(report, Reason.UNKNOWN)
    cache.update("a", ANSWER)
    assert cache.lookup("a") == ANSWER


@pytest.mark.parametrize("turn", [1, 2])
def test_circuit_that_one_test_opened_is_closed_in_the_next(
    upstash: InMemoryUpstash, turn: int
) -> None:
    states = [MADE_AT_IMPORT.circuit]
    upstash.fail()
    for _ in range(5):
        MADE_AT_IMPORT.lookup("a")
    assert [*states, MADE_AT_IMPORT.circuit] == [Circuit.CLOSED, Circuit.OPEN]


def test_variables_of_from_env_are_set_and_ssm_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in PARAMETERS.items():
        monkeypatch.setenv(name, value)
    with installed() as upstash:
        assert not PARAMETERS.keys() & os.environ.keys()
        cache = UpstashRedisCache.from_env()
        assert cache.lookup("a", "b") is None
        assert upstash.commands == ["MGET"]
    assert os.environ["LLM_CACHE_URL_PARAMETER"] == "/shop/url"


def test_caches_of_any_url_share_the_database(
    upstash: InMemoryUpstash, fake_model: FakeModel
) -> None:
    for url in ("https://one.invalid", "https://two.invalid"):
        fake_model.cache = UpstashRedisCache(Redis(url, "token"))
        with fake_model.cache.policy() as report:
            fake_model.invoke("a")
    assert_hit(report)


def test_namespace_is_cleared_and_reclaimed(upstash: InMemoryUpstash) -> None:
    for question in range(600):
        MADE_AT_IMPORT.update(question, ANSWER)
    namespace = CacheNamespace.from_env(namespace="shop")
    namespace.clear()
    MADE_AT_IMPORT.update("a", ANSWER)
    assert (namespace.reclaim(seconds=60).removed, len(upstash.keys)) == (600, 2)
    assert MADE_AT_IMPORT.lookup("a") == ANSWER


async def test_concurrent_callers_share_one_model_call(
    upstash: InMemoryUpstash, fake_model: FakeModel
) -> None:
    fake_model.cache = UpstashRedisCache.from_env()
    with fake_model.cache.policy(coalesce="fleet") as report:
        answers = await fake_model.abatch(["a"] * 3)
    assert [answer.text for answer in answers] == ["answer 1"] * 3
    assert (fake_model.calls, report.hits) == (1, 2)


def test_after_the_fixture_commands_go_to_the_named_url_again(resolved: list[str]) -> None:
    with installed():
        MADE_AT_IMPORT.clear()
    with pytest.raises(StoreUnavailable):
        MADE_AT_IMPORT.clear()
    assert resolved == ["made-at-import.invalid"]


def test_model_that_failed_in_one_test_changes_no_store_of_the_next() -> None:
    with installed():
        MADE_AT_IMPORT.lookup("a")  # a store of this answer would follow, had the model not failed
    with installed():
        CacheNamespace.from_env(namespace="shop").clear()
        MADE_AT_IMPORT.update("a", ANSWER)
        assert MADE_AT_IMPORT.lookup("a") == ANSWER
