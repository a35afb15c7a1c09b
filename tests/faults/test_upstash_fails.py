"""Whatever Upstash does, a lookup is a miss, an update returns, both in time; a clear tells."""

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from langchain_core.outputs import Generation
from tests.faults import servers
from tests.faults.proxy import misbehaving
from tests.faults.wire import WIRE
from upstash_redis import Redis

from llm_cache import (
    Circuit,
    StoreError,
    StoreGarbled,
    StoreRefused,
    StoreTimeout,
    StoreUnavailable,
    UpstashRedisCache,
)
from llm_cache._upstash.credentials import Credentials
from llm_cache._upstash.upstash_store import UpstashStore
from upstash_endpoint.children import free_port
from upstash_endpoint.endpoint import UpstashEndpoint
from upstash_endpoint.redis_server import RedisServer

pytestmark = pytest.mark.timed

TIMEOUT, PATIENCE = 0.6, 10.0  # seconds of a command that hangs, and of one that does not
MARGIN = 5.0  # seconds that a busy machine may add
ANSWER = [Generation(text="paid for")]

FAULTS: dict[str, type[StoreError]] = {
    "silent": StoreTimeout,
    "a dripping body": StoreTimeout,
    "hanging up": StoreUnavailable,
    "HTML": StoreGarbled,
    "no body": StoreGarbled,
    "JSON, but no object": StoreGarbled,
    "an object without a result": StoreGarbled,
    "wrong base64": StoreGarbled,
    "429": StoreRefused,
}
"""Of the wire's faults, one of each kind, and what a command that meets it raises."""


@contextmanager
def within_budget(commands: int = 1) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < commands * TIMEOUT + MARGIN


def allowed(fault: str) -> float:
    """Return the seconds that a command which meets a fault may take."""
    return TIMEOUT if FAULTS[fault] is StoreTimeout else PATIENCE


def cache_at(url: str, token: str = "token", timeout: float = PATIENCE) -> UpstashRedisCache:
    store = UpstashStore(lambda: Credentials(url, token))
    return UpstashRedisCache(store, namespace="n", timeout=timeout)


def call_sync(cache: UpstashRedisCache) -> object:
    found = cache.lookup("p", "model")
    cache.update("p", "model", ANSWER)
    return found


def call_async(cache: UpstashRedisCache) -> object:
    async def call() -> object:
        found = await cache.alookup("p", "model")
        await cache.aupdate("p", "model", ANSWER)
        return found

    return asyncio.run(call())


@pytest.mark.parametrize("call", [call_sync, call_async])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_a_miss_in_time_and_costs_no_second_wait(
    fault: str, call: Callable[[UpstashRedisCache], object]
) -> None:
    error = FAULTS[fault]
    with misbehaving(WIRE[fault]) as url:
        cache = cache_at(url, timeout=allowed(fault))
        with within_budget(), cache.policy() as report:
            assert call(cache) is None
        assert [outcome.status for outcome in report.outcomes] == ["error", "skipped"]
        with pytest.raises(error), within_budget():
            cache._runner.store.execute(("GET", "k"), allowed(fault))


@pytest.mark.parametrize("call", [call_sync, call_async])
def test_nothing_listening_is_a_miss(call: Callable[[UpstashRedisCache], object]) -> None:
    cache = cache_at(f"http://127.0.0.1:{free_port()}")
    with within_budget(), cache.policy() as report:
        assert call(cache) is None
    assert report.errors == 1


@pytest.mark.parametrize("call", [call_sync, call_async])
def test_a_wrong_token_is_a_miss_and_a_clear_says_so(
    upstash: UpstashEndpoint, call: Callable[[UpstashRedisCache], object]
) -> None:
    cache = cache_at(upstash.url, "wrong")
    with cache.policy() as report:
        assert call(cache) is None
    assert "WRONGPASS" in report.outcomes[0].detail
    with pytest.raises(StoreRefused, match="WRONGPASS"):
        cache.clear()


def test_a_read_only_token_reads_and_its_refusal_to_store_reaches_nobody(
    upstash: UpstashEndpoint, redis: Redis
) -> None:
    UpstashRedisCache(redis, namespace="n").update("known", "model", ANSWER)
    cache = cache_at(upstash.url, upstash.read_only_token)
    assert cache.lookup("known", "model") == ANSWER
    with cache.policy() as report:
        assert call_sync(cache) is None
    assert "NOPERM" in report.outcomes[-1].detail


def test_a_store_that_fails_after_a_lookup_that_did_not_loses_no_answer(
    upstash: UpstashEndpoint,
) -> None:
    cache = cache_at(upstash.url)
    cache._runner.store = UpstashStore(lambda: Credentials(upstash.url, upstash.token))
    assert cache.lookup("p", "model") is None
    cache._runner.store = UpstashStore(lambda: Credentials("http://127.0.0.1:9", "token"))
    with cache.policy() as report:
        cache.update("p", "model", ANSWER)
    assert report.errors == 1


def test_redis_killed_and_started_again_is_a_miss_and_then_a_hit() -> None:
    with RedisServer.start() as server, UpstashEndpoint.start(server) as upstash:
        cache = cache_at(upstash.url, upstash.token)
        call_sync(cache)
        assert cache.lookup("p", "model") == ANSWER
        server.kill()
        with within_budget(), cache.policy() as report:
            assert call_sync(cache) is None
        assert report.errors == 1
        server.restart()
        assert call_sync(cache) is None
        assert cache.lookup("p", "model") == ANSWER


def test_a_pooled_connection_that_died_is_replaced_without_a_miss(
    upstash: UpstashEndpoint,
) -> None:
    cache = cache_at(upstash.url, upstash.token)
    call_sync(cache)
    assert cache._runner.store._client
    for connection, _ in cache._runner.store._client._blocking._idle:
        connection.socket.shutdown(socket.SHUT_RDWR)
    with cache.policy() as report:
        assert cache.lookup("p", "model") == ANSWER
    assert report.errors == 0


class Context:
    def __init__(self, milliseconds: int) -> None:
        self.milliseconds = milliseconds

    def get_remaining_time_in_millis(self) -> int:
        return self.milliseconds


@pytest.mark.parametrize("call", [call_sync, call_async])
def test_an_invocation_with_little_time_left_waits_no_longer_than_that(
    call: Callable[[UpstashRedisCache], object],
) -> None:
    with servers.serving(servers.silent) as url:
        store = UpstashStore(lambda: Credentials(url, "token"))
        cache = UpstashRedisCache(store, timeout=60)
        with within_budget(), cache.policy(context=Context(400)):
            assert call(cache) is None


def test_an_invocation_with_no_time_left_does_not_ask_at_all(upstash: UpstashEndpoint) -> None:
    cache = cache_at(upstash.url, upstash.token)
    with cache.policy(context=Context(100)) as report:
        assert call_sync(cache) is None
    assert report.errors == 1
    assert upstash.meter.read().requests == 0


@pytest.mark.parametrize("fault", FAULTS)
def test_a_clear_tells_the_truth(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    error = FAULTS[fault]
    with misbehaving(WIRE[fault]) as url:
        cache = cache_at(url)
        monkeypatch.setattr("llm_cache._engine.command_runner.CLEAR_TIMEOUT", allowed(fault))
        with pytest.raises(error), within_budget():
            cache.clear()
        with pytest.raises(error), within_budget():
            asyncio.run(cache.aclear())


def test_no_error_and_no_log_line_holds_the_token(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    for fault in FAULTS:
        with misbehaving(WIRE[fault]) as url:
            cache = cache_at(url, "token-that-must-not-appear", allowed(fault))
            with cache.policy() as report:
                call_sync(cache)
            assert "token-that-must-not-appear" not in repr(report)
    told = "\n".join(f"{record.getMessage()} {record.exc_text}" for record in caplog.records)
    assert "token-that-must-not-appear" not in told
    assert "cache lookup failed" in told


@pytest.mark.parametrize("call", [call_sync, call_async])
def test_an_upstash_that_hangs_is_left_alone_after_a_few_calls(
    call: Callable[[UpstashRedisCache], object], caplog: pytest.LogCaptureFixture
) -> None:
    with servers.serving(servers.silent) as url:
        cache = cache_at(url, timeout=TIMEOUT)
        for _ in range(5):
            call(cache)
        began = time.monotonic()
        with cache.policy() as report:
            for _ in range(20):
                assert call(cache) is None
        assert time.monotonic() - began < MARGIN
    assert cache.circuit is report.circuit is Circuit.OPEN
    assert report.errors == 20
    assert "left alone" in report.outcomes[0].detail
    assert len([one for one in caplog.records if "circuit" in one.getMessage()]) == 1


def test_a_clear_asks_even_when_the_circuit_is_open(upstash: UpstashEndpoint) -> None:
    cache = cache_at(upstash.url)
    cache._runner.store = UpstashStore(lambda: Credentials("http://127.0.0.1:9", "token"))
    for _ in range(5):
        cache.lookup("p", "model")
    assert cache.circuit is Circuit.OPEN
    cache._runner.store = UpstashStore(lambda: Credentials(upstash.url, upstash.token))
    cache.clear()
    assert upstash.meter.read().commands == 1
