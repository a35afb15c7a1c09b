"""An exceeded quota opens the circuit breaker at once, for as long as the reply names."""

import pytest
from tests.clock import Clock
from tests.faults.conftest import Call, store_at
from tests.faults.faulty_proxy import Forward, misbehaving
from tests.faults.http_faults import HTML, replying

from llm_cache import Breaker, Circuit, StoreRefused, UpstashRedisCache
from llm_cache._errors import QuotaExceeded
from llm_cache._upstash.breaker import MAX_RETRY_AFTER

SECONDS = 30.0  # that the breaker stays open if the reply names no time
THROTTLED, BAD = "429 Too Many Requests", "400 Bad Request"
REQUESTS = "ERR max requests limit exceeded. Limit: 500000, Usage: 500000. See https://upstash.com"
DAILY = "ERR max daily request limit exceeded. Limit: 10000, Usage: 10001. See https://upstash.com"


class Upstash:
    def __init__(self, status: str, body: object, *headers: str) -> None:
        self.requests, self._reply = 0, replying(status, body, *headers)

    def __call__(self, connection: object, forward: Forward) -> None:
        self.requests += 1
        self._reply(connection, forward)  # type: ignore[arg-type]


def cache_at(url: str, clock: Clock, failures: float = 5) -> UpstashRedisCache:
    breaker = Breaker(failures=failures, seconds=SECONDS, slow=9.0, clock=clock)
    return UpstashRedisCache(store_at(url), namespace="n", breaker=breaker)


@pytest.mark.parametrize(
    ("reply", "seconds"),
    [
        ((THROTTLED, {"error": REQUESTS}), SECONDS),
        ((THROTTLED, {"error": "ERR slow down"}, "Retry-After: 7"), 7),
        ((THROTTLED, HTML, "Retry-After: 86400"), MAX_RETRY_AFTER),
        ((THROTTLED, b"", "Retry-After: soon"), SECONDS),
        (("200 OK", {"error": REQUESTS}), SECONDS),
        ((BAD, {"error": DAILY}, "Retry-After: 7"), 7),
        ((BAD, {"error": "ERR max bandwidth limit exceeded"}), SECONDS),
        ((BAD, {"error": "ERR max concurrent connections exceeded"}), SECONDS),
    ],
)
def test_exceeded_quota_costs_one_request_until_it_may_be_over(
    reply: tuple[str, object], seconds: float, call: Call, clock: Clock
) -> None:
    upstash = Upstash(*reply)
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
def test_refusal_of_one_command_leaves_the_circuit_closed(
    error: str, call: Call, clock: Clock
) -> None:
    with misbehaving(replying(BAD, {"error": error})) as url:
        cache = cache_at(url, clock)
        with pytest.raises(StoreRefused) as raised:
            cache._runner.store.execute(("GET", "k"), 10.0)
        assert not isinstance(raised.value, QuotaExceeded)
        call(cache)
        assert cache.circuit == Circuit.CLOSED


def test_breaker_that_never_opens_ignores_quotas(call: Call, clock: Clock) -> None:
    with misbehaving(replying(THROTTLED, b"")) as url:
        cache = cache_at(url, clock, failures=float("inf"))
        call(cache)
        assert cache.circuit == Circuit.CLOSED
