"""A hundred thousand lookups by one cache leave memory, sockets and threads as they were.

`make test` checks sockets and threads of twenty caches (tests/faults/test_connection_pools.py).
"""

import asyncio
import gc
import resource
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from langchain_core.outputs import Generation
from upstash_redis import Redis

from llm_cache import UpstashRedisCache
from upstash_endpoint.children import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")

EACH = 100_000
AT_ONCE = 50
ANSWER = [Generation(text="an answer " * 50)]
TOLERANCE = 4_000_000  # bytes


def usage() -> tuple[int, int, int]:
    """Return resident bytes, open files and threads."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    files = len(list(Path("/proc/self/fd").iterdir()))
    return pages * resource.getpagesize(), files, threading.active_count()


def blocking(cache: UpstashRedisCache, count: int) -> None:
    for number in range(count):
        with cache.policy(ttl=600, tags=[f"tag {number % 5}"]):
            found = cache.lookup(f"question {number % 100}", "model")
            if found is None:
                cache.update(f"question {number % 100}", "model", ANSWER)


def asynchronous(cache: UpstashRedisCache, count: int) -> None:
    async def ask(number: int) -> None:
        with cache.policy(ttl=600):
            if await cache.alookup(f"other {number % 100}", "model") is None:
                await cache.aupdate(f"other {number % 100}", "model", ANSWER)

    async def work() -> None:
        for start in range(0, count, AT_ONCE):
            await asyncio.gather(*(ask(start + each) for each in range(AT_ONCE)))

    asyncio.run(work())


@pytest.mark.parametrize("ask", [blocking, asynchronous])
def test_lookups_leave_no_memory_socket_or_thread(
    redis: Redis, ask: Callable[[UpstashRedisCache, int], None]
) -> None:
    cache = UpstashRedisCache(redis, namespace="many", timeout=60)
    ask(cache, 5_000)
    time.sleep(1)
    memory, files, threads = usage()
    ask(cache, EACH)
    # The server, in this process, closes its ends of the connections a moment later.
    settled = lambda: usage()[1] <= files and usage()[2] <= threads  # noqa: E731
    wait_until(settled, seconds=60, what="the last connection to close")
    assert usage()[0] - memory < TOLERANCE
