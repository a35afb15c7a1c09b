"""Time limits of commands: the cache leaves the end of an invocation to its caller."""

import asyncio
from typing import Any

import pytest

from llm_cache import Breaker, Circuit, Reason, Report, StoreTimeout, UpstashRedisCache
from llm_cache._upstash.credentials import Credentials
from llm_cache._upstash.upstash_store import Guard, UpstashStore, no_guard


class SilentStore(UpstashStore):
    """Records the time limit of each command, and never replies."""

    def __init__(self) -> None:
        super().__init__(lambda: Credentials("http://127.0.0.1:9", "token"))
        self.limits: list[float] = []

    def execute(self, command: Any, seconds: float, guard: Guard = no_guard) -> Any:
        self.limits.append(seconds)
        with guard(seconds):
            raise StoreTimeout("silent")

    async def aexecute(self, command: Any, seconds: float, guard: Guard = no_guard) -> Any:
        return self.execute(command, seconds, guard)


class Invocation:
    """Lambda's context of an invocation with ``milliseconds`` left."""

    def __init__(self, milliseconds: int) -> None:
        self.get_remaining_time_in_millis = lambda: milliseconds


def looked_up(milliseconds: int, *, asynchronous: bool) -> tuple[list[float], Report]:
    store = SilentStore()
    cache = UpstashRedisCache(store, timeout=10)
    with cache.policy(context=Invocation(milliseconds)) as report:
        if asynchronous:
            assert asyncio.run(cache.alookup("p", "model")) is None
        else:
            assert cache.lookup("p", "model") is None
    return store.limits, report


both = pytest.mark.parametrize("asynchronous", [False, True])


@both
@pytest.mark.parametrize("milliseconds", [0, 1, 100, 200, 249])
def test_invocation_about_to_end_sends_no_command(milliseconds: int, asynchronous: bool) -> None:
    limits, report = looked_up(milliseconds, asynchronous=asynchronous)
    assert limits == []
    assert [outcome.why for outcome in report.outcomes] == [Reason.TIMEOUT]


@both
@pytest.mark.parametrize(("milliseconds", "limit"), [(500, 0.25), (3000, 2.75), (60_000, 10.0)])
def test_command_ends_a_quarter_of_a_second_before_the_invocation(
    milliseconds: int, limit: float, asynchronous: bool
) -> None:
    limits, _ = looked_up(milliseconds, asynchronous=asynchronous)
    assert limits == [pytest.approx(limit)]


@pytest.mark.parametrize(
    ("milliseconds", "circuit"), [(500, Circuit.CLOSED), (60_000, Circuit.OPEN)]
)
def test_timeout_at_the_end_of_an_invocation_does_not_open_the_circuit(
    milliseconds: int, circuit: Circuit
) -> None:
    cache = UpstashRedisCache(SilentStore(), timeout=10, breaker=Breaker(failures=1))
    with cache.policy(context=Invocation(milliseconds)):
        assert cache.lookup("p", "model") is None
    assert cache.circuit is circuit
