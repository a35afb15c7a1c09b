"""The cost of an asynchronous hit with 1, 8 and 64 concurrent callers."""

import asyncio
from collections.abc import Awaitable, Callable

from tests.benchmarks.answers import ANSWER, TEXT
from tests.benchmarks.client_process import Setup
from tests.benchmarks.interleaved import Case, interleave, table
from tests.benchmarks.replaced_class import Replaced
from tests.benchmarks.tables import Table
from upstash_redis import Redis
from upstash_redis.asyncio import Redis as AsyncRedis

from llm_cache import UpstashRedisCache

ROUNDS = 25
CALLERS = (1, 8, 64)
HITS = 64  # in one round, so that entering the event loop counts little
PATIENCE = 30.0  # seconds
NOTE = "CPU and time of one hit: a round of 64 hits, divided by 64. The replaced class has no \
asynchronous client; its methods run in the event loop's thread pool. This library's timeout is \
30 s here, so that no hit of a slow machine counts as a miss."


def measure(setup: Setup) -> list[Table]:
    with asyncio.Runner() as runner, Redis(setup.url, setup.token) as redis:
        cache = UpstashRedisCache(redis, ttl=600, namespace="bench", timeout=PATIENCE)
        replaced, bare = Replaced(redis, ttl=600), AsyncRedis(setup.url, setup.token)
        redis.set("hit", TEXT)
        for each in (cache, replaced):
            each.update("hit", "model", ANSWER)
        hits: dict[str, Callable[[], Awaitable[object]]] = {
            "bare GET": lambda: bare.get("hit"),
            "this library": lambda: cache.alookup("hit", "model"),
            "replaced class": lambda: replaced.alookup("hit", "model"),
        }
        cases = [_case(runner, name, hit, many) for many in CALLERS for name, hit in hits.items()]
        interleave(cases, setup.rounds(ROUNDS))
        runner.run(bare.close())
    return [table("An asynchronous hit", cases, note=NOTE)]


def _case(
    runner: asyncio.Runner, name: str, hit: Callable[[], Awaitable[object]], callers: int
) -> Case:
    async def hit_at_once() -> None:
        for _ in range(HITS // callers):
            assert all(await asyncio.gather(*(hit() for _ in range(callers))))

    baseline = "" if name == "replaced class" else f"replaced class, {callers} at once"
    return Case(
        f"{name}, {callers} at once",
        lambda _: runner.run(hit_at_once()),
        baseline=baseline,
        operations=HITS,
    )
