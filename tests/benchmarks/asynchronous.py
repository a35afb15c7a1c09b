"""What an asynchronous hit costs when 1, 8 and 64 callers ask at once."""

import asyncio
from collections.abc import Awaitable, Callable

from tests.benchmarks.answers import ANSWER, TEXT
from tests.benchmarks.apart import At
from tests.benchmarks.replaced import Replaced
from tests.benchmarks.tables import Table
from tests.benchmarks.turns import Case, in_turns, table
from upstash_redis import Redis
from upstash_redis.asyncio import Redis as AsyncRedis

from llm_cache import UpstashRedisCache

ROUNDS = 25
AT_ONCE = (1, 8, 64)
HITS = 64  # of one turn, so that to enter and leave the event loop counts little
PATIENT = 30.0  # seconds: 64 at once take longer on a slow machine than a lookup may by default
NOTE = "CPU and time of one hit: those of a turn divided by its 64 hits. The replaced class has \
no asynchronous client: its methods run in the event loop's thread pool. This library's timeout is \
raised to 30 s, so that no hit of a slow machine counts as a miss."


def measure(at: At) -> list[Table]:
    """Measure in turns, all on one event loop."""
    with asyncio.Runner() as runner, Redis(at.url, at.token) as redis:
        cache = UpstashRedisCache(redis, ttl=600, namespace="bench", timeout=PATIENT)
        replaced, bare = Replaced(redis, ttl=600), AsyncRedis(at.url, at.token)
        redis.set("hit", TEXT)
        for each in (cache, replaced):
            each.update("hit", "model", ANSWER)
        asked: dict[str, Callable[[], Awaitable[object]]] = {
            "bare GET": lambda: bare.get("hit"),
            "this library": lambda: cache.alookup("hit", "model"),
            "replaced class": lambda: replaced.alookup("hit", "model"),
        }
        cases = [_case(runner, name, ask, many) for many in AT_ONCE for name, ask in asked.items()]
        in_turns(cases, at.rounds(ROUNDS))
        runner.run(bare.close())
    return [table("An asynchronous hit", cases, note=NOTE)]


def _case(
    runner: asyncio.Runner, name: str, ask: Callable[[], Awaitable[object]], many: int
) -> Case:
    async def together() -> None:
        for _ in range(HITS // many):
            assert all(await asyncio.gather(*(ask() for _ in range(many))))

    beside = "" if name == "replaced class" else f"replaced class, {many} at once"
    return Case(
        f"{name}, {many} at once", lambda _: runner.run(together()), beside=beside, many=HITS
    )
