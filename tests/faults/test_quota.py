"""Requests that Upstash refuses for a while: the breaker opens at once, for as long as it says."""

import asyncio
import time
from collections.abc import Callable
from email.utils import formatdate

import pytest
from langchain_core.outputs import Generation
from tests.clock import Clock
from tests.faults.proxy import Forward, misbehaving
from tests.faults.wire import HTML, replying

from llm_cache import Breaker, Circuit, StoreRefused, UpstashRedisCache
from llm_cache._errors import QuotaExceeded
from llm_cache._upstash.breaker import MOST_SECONDS
from llm_cache._upstash.credentials import Credentials
from llm_cache._upstash.upstash_store import UpstashStore

SECONDS = 30.0  # that the breaker stays open unless the reply says how long
ANSWER = [Generation(text="paid for")]
REQUESTS = "ERR max requests limit exceeded. Limit: 500000, Usage: 500000. See https://upstash.com"
DAILY = "ERR max daily request limit exceeded. Limit: 10000, Usage: 10001. See https://upstash.com"


class Upstash:
    """Answers every command in the same way, and counts them."""

    def __init__(self, status: str, body: object, *headers: str) -> None:
        self.requests, self._reply = 0, replying(status, body, *headers)

    def __call__(self, connection: object, forward: Forward) -> None:
        self.requests += 1
        self._reply(connection, forward)  # type: ignore[arg-type]


def call(cache: UpstashRedisCache) -> None:
    assert cache.lookup("p", "model") is None
    cache.update("p", "model", ANSWER)


def acall(cache: UpstashRedisCache) -> None:
    async def work() -> None:
        assert await cache.alookup("p", "model") is None
        await cache.aupdate("p", "model", ANSWER)

    asyncio.run(work())


def cache_at(url: str, clock: Clock, failures: float = 5) -> UpstashRedisCache:
    breaker = Breaker(failures=failures, seconds=SECONDS, slow=9.0, clock=clock)
    store = UpstashStore(lambda: Credentials(url, "token"))
    return UpstashRedisCache(store, namespace="n", breaker=breaker)


@pytest.mark.parametrize("call", [call, acall])
@pytest.mark.parametrize(
    ("upstash", "seconds"),
    [
        (Upstash("429 Too Many Requests", {"error": REQUESTS}), SECONDS),
        (Upstash("429 Too Many Requests", {"error": "ERR slow down"}, "Retry-After: 7"), 7),
        (Upstash("429 Too Many Requests", HTML, "Retry-After: 86400"), MOST_SECONDS),
        (Upstash("429 Too Many Requests", b"", "Retry-After: soon"), SECONDS),
        (Upstash("200 OK", {"error": REQUESTS}), SECONDS),
        (Upstash("400 Bad Request", {"error": DAILY}, "Retry-After: 7"), 7),
        (Upstash("400 Bad Request", {"error": "ERR max bandwidth limit exceeded"}), SECONDS),
        (Upstash("400 Bad Request", {"error": "ERR max concurrent connections exceeded"}), SECONDS),
    ],
    ids=lambda value: f"{value}" if isinstance(value, float | int) else "",
)
def test_exceeded_quota_costs_one_request_until_it_may_be_over(
    upstash: Upstash, seconds: float, call: Callable[[UpstashRedisCache], None], clock: Clock
) -> None:
    upstash.requests = 0
    with misbehaving(upstash) as url:
        cache = cache_at(url, clock)
        call(cache)
        call(cache)
        clock.now += seconds - 0.1
        call(cache)
        assert (upstash.requests, cache.circuit) == (1, Circuit.OPEN)
        clock.now += 0.1
        call(cache)
        assert (upstash.requests, cache.circuit) == (2, Circuit.OPEN)


def test_retry_after_may_be_a_date(clock: Clock) -> None:
    date = formatdate(time.time() + 9_000, usegmt=True)
    with misbehaving(replying("429 Too Many Requests", b"", f"Retry-After: {date}")) as url:
        store = UpstashStore(lambda: Credentials(url, "token"))
        with pytest.raises(QuotaExceeded) as raised:
            store.execute(("GET", "k"), 10.0)
    assert raised.value.retry_after is not None
    assert 0 < raised.value.retry_after <= 9_000


@pytest.mark.parametrize(
    "error",
    [
        "ERR max request size exceeded. Limit: 1048576 bytes, Actual: 2000000 bytes",
        "ERR max single record size exceeded",
        "ERR DB capacity quota exceeded. Threshold: 268435456 bytes, Usage: 268979370 bytes",
        "OOM command not allowed when used memory > 'maxmemory'",
        "NOPERM this user has no permissions",
    ],
)
def test_refusal_of_one_command_leaves_the_circuit_closed(error: str, clock: Clock) -> None:
    with misbehaving(replying("400 Bad Request", {"error": error})) as url:
        cache = cache_at(url, clock)
        with pytest.raises(StoreRefused) as raised:
            cache._runner.store.execute(("GET", "k"), 10.0)
        assert not isinstance(raised.value, QuotaExceeded)
        call(cache)
        assert cache.circuit == Circuit.CLOSED


def test_breaker_that_never_opens_ignores_quotas(clock: Clock) -> None:
    with misbehaving(replying("429 Too Many Requests", b"")) as url:
        cache = cache_at(url, clock, failures=float("inf"))
        call(cache)
        assert cache.circuit == Circuit.CLOSED
