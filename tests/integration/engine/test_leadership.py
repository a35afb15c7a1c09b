"""Leadership on a real server: leases are released, renewed and taken over; waits are bounded."""

import asyncio
import gc
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any

import pytest
from tests.integration.engine.conftest import Caches
from tests.integration.engine.models import ANSWER, FLEET, Model, invoking, statuses, together
from tests.wait_log import WaitLog
from upstash_redis import Redis

from llm_cache import CachePolicy, StoreUnavailable, UpstashRedisCache
from llm_cache._engine import heartbeat
from llm_cache._engine.command_runner import RESERVE
from llm_cache._protocol import leases
from upstash_endpoint.children import wait_until
from upstash_endpoint.redis_server import RedisServer

DEAD = 2.0  # seconds after which waiters give up on a dead leader
LIFE, RENEW_EVERY = 2.0, 0.2  # seconds: of a lease without renewal, and between renewals
LONG = 3.0  # seconds of a model call whose lease must be renewed
MARGIN = 15.0  # seconds that a busy machine may add


@pytest.fixture
def held(redis: Redis) -> Callable[[], list[str]]:
    """Return the keys of the leases that are held."""
    return lambda: redis.keys("*:lease:*")


Held = Callable[[], list[str]]


def test_lease_is_held_while_the_answer_is_computed(
    cache: UpstashRedisCache, held: Held, policy: CachePolicy
) -> None:
    with cache.policy(policy):
        cache.lookup("p", "model")
        assert len(held()) == (policy.coalesce == "fleet")
        cache.update("p", "model", ANSWER)
    assert held() == []


@pytest.mark.parametrize("fields", [{"ttl": 0}, {"mode": "read_only"}, {"mode": "refresh"}])
def test_policy_without_shared_answers_takes_no_lease(
    cache: UpstashRedisCache, held: Held, fields: dict[str, Any]
) -> None:
    with cache.policy(CachePolicy(coalesce="fleet", **fields)):
        cache.lookup("p", "model")
        assert held() == []


def test_full_database_releases_the_lease(
    cache: UpstashRedisCache, held: Held, redis_server: RedisServer
) -> None:
    with cache.policy(FLEET) as report:
        assert cache.lookup("p", "model") is None
        redis_server.call("CONFIG", "SET", "maxmemory", 1)
        try:
            cache.update("p", "model", ANSWER)
        finally:
            redis_server.call("CONFIG", "SET", "maxmemory", 0)
    assert report.stored == 1  # Redis continues a script that has freed something first: the lease
    assert held() == []


def test_failed_model_call_releases_its_lease(caches: Caches, held: Held, waits: WaitLog) -> None:
    model = Model(fail=1)
    with pytest.raises(RuntimeError, match="the model failed"):
        invoking(caches(), model, FLEET)()
    assert held() == []
    assert invoking(caches(), model, FLEET)() == "answer 2"
    assert waits.pauses == []


async def test_failed_model_call_on_a_loop_releases_its_lease(
    cache: UpstashRedisCache, held: Held
) -> None:
    with pytest.raises(RuntimeError, match="the model failed"), cache.policy(FLEET):
        await Model(cache=cache, fail=1).ainvoke("same")
    await asyncio.to_thread(wait_until, lambda: held() == [], seconds=60, what="the release")


def test_call_of_a_collected_leader_fails_at_once(
    cache: UpstashRedisCache, policy: CachePolicy, waits: WaitLog
) -> None:
    """The policy block and the heartbeat refer to the call only, so the leader is collected."""
    with cache.policy(policy):
        context = copy_context()
        assert context.run(cache.lookup, "p", "model") is None
        (call,) = cache._leadership.calls._current.values()
        assert call.pending
        del context
        gc.collect()
        assert not call.pending
        assert cache.lookup("p", "model") is None
    assert waits.pauses == []


class Invocation:
    """Lambda's context of an invocation that always has so many seconds left."""

    def __init__(self, seconds: float) -> None:
        self.get_remaining_time_in_millis = lambda: int(1000 * seconds)


@contextmanager
def hung_leader(
    cache: UpstashRedisCache, policy: CachePolicy, seconds: float = 60.0
) -> Iterator[float]:
    """Have another thread lead for up to ``seconds``, without an answer, until the block ends.

    The value of the block is the monotonic time before it took the lead.
    """
    began, leading, done = time.monotonic(), threading.Event(), threading.Event()

    def hang() -> None:
        with cache.policy(policy, context=Invocation(seconds + RESERVE)):
            cache.lookup("p", "model")
            leading.set()
            done.wait()

    thread = threading.Thread(target=hang)
    thread.start()
    leading.wait()
    try:
        yield began
    finally:
        done.set()
        thread.join()


def compute(cache: UpstashRedisCache, seconds: float = 0.0) -> list[str]:
    """Look an answer up, and store it after ``seconds`` if it is missing; return the statuses."""
    with cache.policy(FLEET) as report:
        if cache.lookup("p", "model") is None:
            time.sleep(seconds)
            cache.update("p", "model", ANSWER)
    return statuses(report)


@pytest.mark.timed
def test_waiter_gives_up_on_a_dead_leader_when_its_lease_ends(caches: Caches) -> None:
    with hung_leader(caches(), FLEET, DEAD) as began:
        assert compute(caches()) == ["miss unknown", "stored"]
        waited = time.monotonic() - began
    assert DEAD <= waited < DEAD + MARGIN


@pytest.mark.timed
def test_one_waiter_replaces_a_dead_leader(caches: Caches, policy: CachePolicy) -> None:
    shared, computed = caches(), []

    def work() -> None:
        cache = shared if policy.coalesce == "process" else caches()
        with cache.policy(policy):
            if cache.lookup("p", "model") is None:
                computed.append("p")
                time.sleep(0.3)
                cache.update("p", "model", ANSWER)

    with hung_leader(shared, policy, DEAD):
        together(*[work] * 6)
    assert computed == ["p"]


@pytest.fixture
def _short_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "LEASE_LIFE", LIFE)
    monkeypatch.setattr(heartbeat, "RENEW_EVERY", RENEW_EVERY)


@pytest.mark.timed
@pytest.mark.usefixtures("_short_leases")
def test_waiter_waits_for_a_slow_leader(caches: Caches, held: Held) -> None:
    first, second = caches(), caches()
    found = together(lambda: compute(first, LONG), lambda: compute(second, LONG))
    assert sorted(found) == [["hit collapsed"], ["miss unknown", "stored"]]
    assert held() == []


@pytest.mark.timed
@pytest.mark.usefixtures("_short_leases")
async def test_leader_that_blocks_its_event_loop_keeps_its_lease(
    caches: Caches, waits: WaitLog
) -> None:
    first, second = caches(), caches()
    with first.policy(FLEET):
        assert await first.alookup("p", "model") is None
        waiter = asyncio.get_running_loop().run_in_executor(None, compute, second)
        await asyncio.to_thread(waits.until, 1)
        time.sleep(LONG)  # noqa: ASYNC251  like a model that blocks
        await first.aupdate("p", "model", ANSWER)
    assert await waiter == ["hit collapsed"]


@pytest.mark.timed
@pytest.mark.usefixtures("_short_leases")
def test_lease_is_not_renewed_beyond_its_seconds(caches: Caches) -> None:
    with hung_leader(caches(), FLEET, 2 * LIFE) as began:
        assert compute(caches()) == ["miss unknown", "stored"]
        assert 1.9 * LIFE < time.monotonic() - began < 2 * LIFE + MARGIN


@pytest.mark.timed
@pytest.mark.usefixtures("_short_leases")
def test_lease_survives_failed_renewals(caches: Caches, held: Held) -> None:
    first, second = caches(), caches()
    failing = iter([True, False] * 99)
    execute = first._runner.store.execute

    def unsteady(command: Any, *limits: Any) -> Any:
        if leases.RENEW in command and next(failing):
            raise StoreUnavailable("not now")
        return execute(command, *limits)

    first._runner.store.execute = unsteady  # type: ignore[assignment, method-assign]
    with ThreadPoolExecutor(1) as pool:
        leading = pool.submit(compute, first, LONG)
        wait_until(lambda: bool(held()), seconds=60, what="the lease")
        assert compute(second) == ["hit collapsed"]
    assert leading.result() == ["miss unknown", "stored"]


def test_wait_leaves_half_of_the_invocation_to_the_model(
    cache: UpstashRedisCache, policy: CachePolicy, waits: WaitLog
) -> None:
    with hung_leader(cache, policy), cache.policy(policy, context=Invocation(2.0 + RESERVE)):
        assert cache.lookup("p", "model") is None
    assert 0 < sum(pause.seconds for pause in waits.pauses) <= 1.0


async def test_blocking_lookup_on_the_loop_of_its_leader_does_not_wait(
    cache: UpstashRedisCache, policy: CachePolicy, waits: WaitLog
) -> None:
    async def blocking() -> object:
        return cache.lookup("p", "model")

    with cache.policy(policy):
        assert await cache.alookup("p", "model") is None
        assert await asyncio.create_task(blocking()) is None
    assert waits.pauses == []
