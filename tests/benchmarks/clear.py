"""The cost of a clear by the number of entries, with a PING by the same client as baseline."""

from langchain_core.outputs import Generation
from tests.benchmarks.interleaved import Case, interleave, table
from tests.benchmarks.servers import served
from tests.benchmarks.tables import Table
from tests.integration.filling import fill
from tests.integration.upstash.connection import Connection
from upstash_redis import Redis

from llm_cache import UpstashRedisCache

ROUNDS = 100
SIZES = (1_000, 10_000, 100_000, 1_000_000)
ANSWER = [Generation(text="an answer")]


def measure(*, short: bool) -> list[Table]:
    """Fill a namespace and clear it; the entries stay, so each size adds to the one before."""
    cases: list[Case] = []
    with served() as (server, upstash), Redis(upstash.url, upstash.token) as redis:
        cache = UpstashRedisCache(redis, namespace="bench")
        cache.update("p", "model", ANSWER)
        (like,) = redis.keys("bench:entry:*")
        connection = Connection(server)
        for size in SIZES[:3] if short else SIZES:
            fill(connection, "bench", like, size - 1)
            cases += interleave(_cases(redis, cache, size), ROUNDS // 5 if short else ROUNDS)
        connection.close()
    return [table("A clear, by number of entries in the namespace", cases, plot="wall")]


def _cases(redis: Redis, cache: UpstashRedisCache, size: int) -> list[Case]:
    ping = f"PING, {size:,} entries"
    return [
        Case(ping, lambda _: redis.ping()),
        Case(f"clear, {size:,} entries", lambda _: cache.clear(), ping),
    ]
