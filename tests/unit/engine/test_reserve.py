"""What an invocation keeps of its time: the cache never waits to the end of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from llm_cache import Reason, StoreTimeout, UpstashRedisCache
from llm_cache._upstash.credentials import Credentials
from llm_cache._upstash.store import UpstashStore


class Timed(UpstashStore):
    """Never answers, and notes how long it was given for each command."""

    def __init__(self) -> None:
        super().__init__(lambda: Credentials("http://127.0.0.1:9", "token"))
        self.seconds: list[float] = []

    def execute(self, command: Any, seconds: float, *_: Any) -> Any:
        self.seconds.append(seconds)
        raise StoreTimeout("silent")

    async def aexecute(self, command: Any, seconds: float, *_: Any) -> Any:
        return self.execute(command, seconds)


@dataclass
class Context:
    """Lambda's context of an invocation with ``milliseconds`` left."""

    milliseconds: int

    def get_remaining_time_in_millis(self) -> int:
        return self.milliseconds


async def alookup(cache: UpstashRedisCache) -> Any:
    return await cache.alookup("p", "model")


async def lookup(cache: UpstashRedisCache) -> Any:
    return cache.lookup("p", "model")


both = pytest.mark.parametrize("call", [lookup, alookup])


@both
@pytest.mark.parametrize("left", [0, 1, 100, 200, 249])
async def test_invocation_about_to_end_sends_nothing(
    call: Callable[[UpstashRedisCache], Any], left: int
) -> None:
    store = Timed()
    cache = UpstashRedisCache(store, timeout=10)
    with cache.policy(context=Context(left)) as report:
        assert await call(cache) is None
    assert store.seconds == []
    assert [outcome.why for outcome in report.outcomes] == [Reason.TIMEOUT]


@both
@pytest.mark.parametrize(("left", "allowed"), [(500, 0.25), (3000, 2.75), (60_000, 10.0)])
async def test_command_ends_a_quarter_of_a_second_before_the_invocation(
    call: Callable[[UpstashRedisCache], Any], left: int, allowed: float
) -> None:
    store = Timed()
    cache = UpstashRedisCache(store, timeout=10)
    with cache.policy(context=Context(left)):
        await call(cache)
    assert store.seconds == [pytest.approx(allowed)]
