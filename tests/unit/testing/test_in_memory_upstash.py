"""What a test sees of the database, and how it makes the database fail and its time pass."""

import pytest

from llm_cache import (
    Circuit,
    Reason,
    ResponseCache,
    StoreError,
    StoreRefused,
    StoreTimeout,
    UpstashRedisCache,
)
from llm_cache._protocol.leases import RENEW
from llm_cache.testing import InMemoryUpstash, assert_hit, assert_miss
from llm_cache.testing._database import UnknownCommand

ANSWER = {"text": "answer"}


@pytest.fixture
def cache(upstash: InMemoryUpstash) -> ResponseCache:
    return ResponseCache.from_env(version="1")


def test_commands_of_a_miss_a_store_and_a_hit_are_counted(
    upstash: InMemoryUpstash, cache: ResponseCache
) -> None:
    answer = cache.cached(lambda _: ANSWER)
    assert answer("a") == answer("a") == ANSWER
    assert upstash.commands == ["MGET", "EVAL", "MGET"]


def test_keys_are_listed_and_flushed(upstash: InMemoryUpstash, cache: ResponseCache) -> None:
    cache.update("a", ANSWER)
    assert [key.split(":")[:2] for key in upstash.keys] == [["test", "entry"], ["test", "epoch"]]
    upstash.flush()
    assert upstash.keys == []
    assert cache.lookup("a") is None


def test_failing_database_is_a_miss_that_the_report_explains(
    upstash: InMemoryUpstash, cache: ResponseCache
) -> None:
    cache.update("a", ANSWER)
    upstash.fail(times=1)
    with cache.policy() as report:
        assert cache.lookup("a") is None
        assert cache.lookup("a") == ANSWER
    assert [each.why for each in report.outcomes] == [Reason.UNAVAILABLE, None]


@pytest.mark.parametrize("error", [StoreTimeout("slow"), StoreRefused("ERR no")])
def test_clear_raises_the_error_of_the_test_until_the_database_recovers(
    upstash: InMemoryUpstash, cache: ResponseCache, error: StoreError
) -> None:
    upstash.fail(error)
    for _ in range(2):
        with pytest.raises(type(error), match=str(error)):
            cache.clear()
    upstash.recover()
    cache.clear()
    assert upstash.commands == ["EVAL"] * 3


def test_full_database_serves_hits_and_clears_but_stores_nothing(
    upstash: InMemoryUpstash, cache: ResponseCache
) -> None:
    cache.update("a", ANSWER)
    upstash.full = True
    with cache.policy() as report:
        cache.update("b", ANSWER)
        assert cache.lookup("a") == ANSWER
        cache.clear()
        assert cache.lookup("a") is None
    assert [each.why for each in report.outcomes] == [Reason.REFUSED, None, Reason.CLEARED]


def test_answer_expires_when_the_time_is_advanced(
    upstash: InMemoryUpstash, cache: ResponseCache
) -> None:
    with cache.policy(ttl=60):
        cache.update("a", ANSWER)
    upstash.advance(59)
    with cache.policy() as report:
        assert cache.lookup("a") == ANSWER
    assert_hit(report)
    assert 59 <= report.outcomes[0].age < 60
    upstash.advance(1)
    with cache.policy() as report:
        assert cache.lookup("a") is None
    assert_miss(report, Reason.UNKNOWN)


def test_advanced_answer_is_too_old_for_a_policy(
    upstash: InMemoryUpstash, cache: ResponseCache
) -> None:
    cache.update("a", ANSWER)
    upstash.advance(11)
    with cache.policy(max_age=10) as report:
        assert cache.lookup("a") is None
    assert_miss(report, Reason.TOO_OLD)


def test_advanced_time_counts_since_a_clear(upstash: InMemoryUpstash, cache: ResponseCache) -> None:
    upstash.advance(1000)
    cache.update("a", ANSWER)
    cache.clear()
    upstash.advance(500)
    with cache.policy() as report:
        assert cache.lookup("a") is None
    assert "500 s ago" in report.outcomes[0].detail


def test_advanced_time_ends_the_memory_tier_and_the_pause_of_the_circuit(
    upstash: InMemoryUpstash, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLM_CACHE_MEMORY", "5")
    cache = ResponseCache.from_env(version="1")
    cache.update("a", ANSWER)
    cache.lookup("a")
    upstash.fail()
    assert cache.lookup("a") == ANSWER
    upstash.advance(6)
    for _ in range(5):
        assert cache.lookup("a") is None
    states = [cache.circuit]
    upstash.advance(31)
    assert [*states, cache.circuit] == [Circuit.OPEN, Circuit.HALF_OPEN]


def test_time_does_not_go_back(upstash: InMemoryUpstash) -> None:
    with pytest.raises(ValueError, match="seconds=-1"):
        upstash.advance(-1)


@pytest.mark.parametrize(
    ("command", "named"),
    [
        (("HSET", "k", "f", "v"), "no command HSET"),
        (("SCAN", "0", "TYPE", "string"), "options of SCAN"),
        (("SCAN", "0", "MATCH", "[ab]", "COUNT", 1), "class of characters"),
        (("FLUSHDB", "NOW"), "options of FLUSHDB"),
        (("EVAL", RENEW + " ", 0), "no twin of the script"),
    ],
)
async def test_unknown_command_is_no_miss_but_an_error(
    upstash: InMemoryUpstash, command: tuple[str | int, ...], named: str
) -> None:
    cache = UpstashRedisCache.from_env()
    with pytest.raises(UnknownCommand, match=named):
        cache._runner.store.execute(command, 1)
    with pytest.raises(UnknownCommand, match=named):
        await cache._runner.store.aexecute(command, 1)
