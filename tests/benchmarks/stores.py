"""What a store costs, after a miss and alone, beside the replaced class."""

from tests.benchmarks.answers import ANSWER, TEXT
from tests.benchmarks.apart import At
from tests.benchmarks.replaced import Replaced
from tests.benchmarks.tables import Table
from tests.benchmarks.turns import Case, in_turns, table
from upstash_redis import Redis

from llm_cache import UpstashRedisCache

ROUNDS = 400


def measure(at: At) -> list[Table]:
    """Measure stores of 500 bytes, each under a key of its own."""
    with Redis(at.url, at.token) as redis:
        cases = in_turns(_cases(redis), at.rounds(ROUNDS), at.meter)
    return [table("A store, 500 bytes of text", cases)]


def _cases(redis: Redis) -> list[Case]:
    cache = UpstashRedisCache(redis, ttl=600, namespace="bench")
    replaced = Replaced(redis, ttl=600)

    def store(key: str) -> None:
        cache.update(key, "model", ANSWER)

    return [
        Case("bare SET … EX", lambda key: redis.set(key, TEXT, ex=600)),
        Case("replaced class", lambda key: replaced.update(key, "model", ANSWER), "bare SET … EX"),
        Case(
            "this library, after a miss",
            store,
            "replaced class",
            prepare=lambda key: cache.lookup(key, "model"),
        ),
        Case("this library, alone", store, "replaced class"),
    ]
