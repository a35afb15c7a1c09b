"""A forked process starts without the calls, failures and locks of its parent."""

import pytest
from tests.integration.upstash.test_processes import run_script

from upstash_endpoint.endpoint import UpstashEndpoint

IN_A_CHILD = """
import os, sys, threading
from upstash_redis import Redis
from langchain_core.outputs import Generation
from llm_cache import Breaker, CachePolicy, MemoryTier, UpstashRedisCache

breaker, memory = Breaker(failures=1, seconds=1000), MemoryTier(seconds=1000)
fields = {"namespace": "shop", "breaker": breaker, "memory": memory, "timeout": 20.0}
cache = UpstashRedisCache(Redis(*sys.argv[1:]), **fields)
calls, heartbeat = cache._leadership.parts
FLEET = CachePolicy(coalesce="fleet")

def in_the_child(work):
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
"""

WITH_HELD_LOCKS = """
def work():
    with cache.policy(FLEET) as report:
        assert cache.lookup("p", "model") is None
        cache.update("p", "model", [Generation(text="hi")])
        assert cache.lookup("p", "model")
    assert report.stored == 1, report

locks = (breaker._lock, memory._lock, calls._lock, heartbeat._lock)
for lock in locks:
    lock.acquire()
in_the_child(work)
for lock in locks:
    lock.release()
"""

WITH_AN_OPEN_CIRCUIT = """
with breaker._lock:
    breaker._failures = 1
try:
    with breaker.guard():
        raise OSError
except OSError:
    pass
assert cache.circuit == "open"
breaker._state = type(cache.circuit).HALF_OPEN  # the parent is trying one command

def work():
    assert cache.circuit == "closed"
    assert cache.lookup("p", "model") is None
    cache.clear()

in_the_child(work)
assert cache.circuit == "half_open"
"""

WITH_A_CALL_IN_FLIGHT = """
def another_caller():
    with cache.policy(CachePolicy(coalesce="process")) as report:
        assert cache.lookup("p", "model") is None
    assert report.outcomes[0].seconds < 5, report  # a wait would take 30 seconds

with cache.policy(FLEET):
    assert cache.lookup("p", "model") is None
    (call,) = calls._current.values()

    def work():
        assert calls._current == {}
        assert not heartbeat._due
        another_caller()
        cache.update("p", "model", [Generation(text="the child's")])

    leases = Redis(*sys.argv[1:]).keys("shop:lease:*")
    in_the_child(work)
    assert Redis(*sys.argv[1:]).keys("shop:lease:*") == leases  # the parent's
    assert call.lease
    cache.update("p", "model", [Generation(text="the parent's")])
assert Redis(*sys.argv[1:]).keys("shop:lease:*") == []
"""


@pytest.mark.parametrize(
    "script",
    [WITH_HELD_LOCKS, WITH_AN_OPEN_CIRCUIT, WITH_A_CALL_IN_FLIGHT],
    ids=["held locks", "open circuit", "call in flight"],
)
def test_forked_process_starts_fresh(upstash: UpstashEndpoint, script: str) -> None:
    run_script(IN_A_CHILD + script, upstash)
