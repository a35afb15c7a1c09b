"""The first burst of calls in a new process: slow or failed secrets are no failure of Upstash."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import pytest
from langchain_core.outputs import Generation
from tests.clock import Clock
from tests.integration.upstash import ssm as server
from tests.integration.upstash.ssm import Ssm

from llm_cache import Breaker, Circuit, Reason, ResponseCache, UpstashRedisCache
from llm_cache._report import Report
from upstash_endpoint.endpoint import UpstashEndpoint

ENVIRONMENT = {
    "LLM_CACHE_URL_PARAMETER": "/cache/url",
    "LLM_CACHE_TOKEN_PARAMETER": "/cache/token",
    "LLM_CACHE_SIGNING_KEY_PARAMETER": "/cache/key",
    "LLM_CACHE_NAMESPACE": "cold",
    "LLM_CACHE_TIMEOUT": "10",
}
CALLS = 6
KEY = "AQEB" * 10 + "AQE="
ANSWER = [Generation(text="answer")]
SLOW = 60.0  # seconds, by the breaker's clock, that reading the secrets takes


@pytest.fixture
def ssm(upstash: UpstashEndpoint, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ssm]:
    with server.serving() as started:
        started.values = {"/cache/url": upstash.url, "/cache/token": upstash.token}
        started.values["/cache/key"] = KEY
        server.use(started.on_lambda, monkeypatch)
        yield started


@pytest.fixture
def cache(ssm: Ssm, clock: Clock) -> UpstashRedisCache:
    """A cache whose breaker opens at the first failure, and whose secrets are slow to read."""
    made = UpstashRedisCache.from_env(ENVIRONMENT)
    made._runner.breaker = Breaker(failures=1, clock=clock)
    ssm.working = lambda: setattr(clock, "now", clock.now + SLOW)
    return made


def in_threads(cache: UpstashRedisCache) -> None:
    def call(prompt: str) -> None:
        cache.lookup(prompt, "model")
        cache.update(prompt, "model", ANSWER)

    with ThreadPoolExecutor(CALLS) as pool:
        for number in range(CALLS):
            pool.submit(copy_context().run, call, str(number))


def in_tasks(cache: UpstashRedisCache) -> None:
    async def call(prompt: str) -> None:
        await cache.alookup(prompt, "model")
        await cache.aupdate(prompt, "model", ANSWER)

    async def burst() -> None:
        await asyncio.gather(*(call(str(number)) for number in range(CALLS)))

    asyncio.run(burst())


bursts = pytest.mark.parametrize("burst", [in_threads, in_tasks])


def report_of(cache: UpstashRedisCache, burst: Callable[[UpstashRedisCache], None]) -> Report:
    with cache.policy() as report:
        burst(cache)
    return report


@bursts
def test_burst_during_a_slow_read_of_the_secrets_stores_every_answer(
    cache: UpstashRedisCache, ssm: Ssm, burst: Callable[[UpstashRedisCache], None]
) -> None:
    report = report_of(cache, burst)
    assert (report.stored, report.errors) == (CALLS, 0)
    assert cache.circuit is Circuit.CLOSED
    assert len(ssm.asked) == 1
    assert report_of(cache, burst).hits == CALLS


@bursts
def test_burst_without_secrets_calls_ssm_once_and_keeps_the_circuit_closed(
    cache: UpstashRedisCache, ssm: Ssm, burst: Callable[[UpstashRedisCache], None]
) -> None:
    ssm.failures = [(400, {"__type": "AccessDeniedException"})] * CALLS
    report = report_of(cache, burst)
    assert (report.errors, report.stored) == (CALLS, 0)
    reasons = {outcome.why for outcome in report.outcomes}
    assert reasons == {Reason.UNAVAILABLE, Reason.LOOKUP_FAILED}
    assert all("AccessDeniedException" in one.detail for one in report.outcomes if one.detail)
    assert len(ssm.failures) == CALLS - 1
    assert cache.circuit is Circuit.CLOSED


async def test_first_read_of_the_secrets_does_not_block_the_event_loop(ssm: Ssm) -> None:
    cache = ResponseCache.from_env(version="1", environ=ENVIRONMENT)
    loop = asyncio.get_running_loop()

    async def answer(request: str) -> dict[str, str]:
        return {"answer": request}

    # SSM replies after the loop has run another task.
    ssm.working = lambda: asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result(60)
    assert await cache.cached(answer)("q") == {"answer": "q"}
    assert await cache.alookup("q") == {"answer": "q"}
    assert len(ssm.asked) == 1
