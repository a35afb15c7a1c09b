"""What a clear costs at one answer and at very many, beside a PING over the same client."""

import statistics
import time
from collections.abc import Callable

from langchain_core.outputs import Generation
from tests.benchmarks.serving import served
from tests.contract.connection import Connection
from tests.contract.filling import fill
from upstash_redis import Redis

from llm_cache import UpstashRedisCache

ROUNDS = 200
SIZES = (1, 100_000)
ANSWER = [Generation(text="an answer")]


def took(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def measure(redis: Redis, cache: UpstashRedisCache) -> tuple[float, float]:
    """Return the median seconds of a PING and of a clear; they take turns."""
    pings, clears = [], []
    for _ in range(ROUNDS):
        pings.append(took(redis.ping))
        clears.append(took(cache.clear))
    return statistics.median(pings), statistics.median(clears)


def main() -> None:
    print(f"\nClear, median of {ROUNDS} rounds in turns with a PING\n")
    print(f"{'':<24}{'ms':>7}  ratio to PING")
    with (
        served() as (server, upstash),
        Redis(upstash.url, upstash.token) as redis,
    ):
        cache = UpstashRedisCache(redis, namespace="bench")
        cache.update("p", "model", ANSWER)
        (like,) = redis.keys("bench:entry:*")
        connection = Connection(server)
        for size in SIZES:
            fill(connection, "bench", like, size - 1)
            ping, clear = measure(redis, cache)
            print(f"{f'clear at {size:,}':<24}{clear * 1e3:>7.3f}  {clear / ping:>5.2f}")
        connection.close()
