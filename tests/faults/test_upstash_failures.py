"""A failing Upstash makes a lookup a miss in time, and a clear an error."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.faults import socket_servers
from tests.faults.conftest import ANSWER, Call, store_at
from tests.faults.faulty_proxy import misbehaving
from tests.faults.http_faults import HTTP_FAULTS

from llm_cache import Circuit, StoreRefused, UpstashRedisCache
from upstash_endpoint.endpoint import UpstashEndpoint

pytestmark = pytest.mark.timed

TIMEOUT, PATIENCE = 0.3, 10.0  # seconds of a command that hangs, and of one that does not
MARGIN = 5.0  # seconds that a busy machine may add
NOWHERE = "http://127.0.0.1:9"


@contextmanager
def within_budget() -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < TIMEOUT + MARGIN


def cache_at(url: str, token: str = "token", timeout: float = PATIENCE) -> UpstashRedisCache:
    return UpstashRedisCache(store_at(url, token), namespace="n", timeout=timeout)


@pytest.mark.parametrize("fault", ["no reply", "connection closed", "JSON array"])
def test_fault_is_a_miss_in_time_and_costs_no_second_wait(fault: str, call: Call) -> None:
    with misbehaving(HTTP_FAULTS[fault][0]) as url:
        cache = cache_at(url, timeout=TIMEOUT if fault == "no reply" else PATIENCE)
        with within_budget(), cache.policy() as report:
            assert call(cache) is None
    assert [outcome.status for outcome in report.outcomes] == ["error", "skipped"]


@pytest.mark.parametrize(("token", "error"), [("wrong", "WRONGPASS"), ("read-only", "NOPERM")])
def test_refused_store_raises_nothing_and_is_in_the_report(
    upstash: UpstashEndpoint, call: Call, token: str, error: str
) -> None:
    cache = cache_at(upstash.url, upstash.read_only_token if token == "read-only" else token)
    with cache.policy() as report:
        assert call(cache) is None
    assert error in " ".join(outcome.detail for outcome in report.outcomes)
    with pytest.raises(StoreRefused, match=error):
        cache.clear()


def test_failed_store_after_a_good_lookup_raises_nothing(upstash: UpstashEndpoint) -> None:
    cache = cache_at(upstash.url, upstash.token)
    assert cache.lookup("p", "model") is None
    cache._runner.store = store_at(NOWHERE)
    with cache.policy() as report:
        cache.update("p", "model", ANSWER)
    assert report.errors == 1


def test_dead_pooled_connection_is_replaced_without_a_miss(upstash: UpstashEndpoint) -> None:
    cache = cache_at(upstash.url, upstash.token)
    cache.update("p", "model", ANSWER)
    assert cache._runner.store._client
    for connection, _ in cache._runner.store._client._blocking._idle:
        connection.socket.shutdown(socket.SHUT_RDWR)
    with cache.policy() as report:
        assert cache.lookup("p", "model") == ANSWER
    assert report.errors == 0


class Context:
    """A Lambda context with some time left."""

    def __init__(self, milliseconds: int) -> None:
        self.get_remaining_time_in_millis = lambda: milliseconds


def test_invocation_with_little_time_left_waits_no_longer(call: Call) -> None:
    with socket_servers.serving(socket_servers.silent) as url:
        cache = cache_at(url, timeout=60)
        with within_budget(), cache.policy(context=Context(400)):
            assert call(cache) is None


def test_invocation_without_time_left_sends_nothing(upstash: UpstashEndpoint, call: Call) -> None:
    cache = cache_at(upstash.url, upstash.token)
    with cache.policy(context=Context(100)) as report:
        assert call(cache) is None
    assert report.errors == 1
    assert upstash.meter.read().requests == 0


def test_circuit_opens_after_five_timeouts(call: Call, caplog: pytest.LogCaptureFixture) -> None:
    with socket_servers.serving(socket_servers.silent) as url:
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
    assert "circuit breaker is open" in report.outcomes[0].detail
    assert len([one for one in caplog.records if "circuit" in one.getMessage()]) == 1


def test_clear_is_sent_while_the_circuit_is_open(upstash: UpstashEndpoint) -> None:
    cache = cache_at(NOWHERE)
    for _ in range(5):
        cache.lookup("p", "model")
    assert cache.circuit is Circuit.OPEN
    cache._runner.store = store_at(upstash.url, upstash.token)
    cache.clear()
    assert upstash.meter.read().commands == 1
