"""The cost of a store, after a miss and alone."""

from tests.benchmarks.answers import ANSWER, TEXT
from tests.benchmarks.client_process import Setup
from tests.benchmarks.interleaved import Case, interleave, table
from tests.benchmarks.replaced_class import Replaced
from tests.benchmarks.tables import Table
from upstash_redis import Redis

from llm_cache import UpstashRedisCache

ROUNDS = 400
BARE, REPLACED = "bare SET … EX", "replaced class"


def measure(setup: Setup) -> list[Table]:
    with Redis(setup.url, setup.token) as redis:
        cases = interleave(_cases(redis), setup.rounds(ROUNDS), setup.meter)
    return [table("A store, 500 bytes of text", cases)]


def _cases(redis: Redis) -> list[Case]:
    cache = UpstashRedisCache(redis, ttl=600, namespace="bench")
    replaced = Replaced(redis, ttl=600)

    def store(key: str) -> None:
        cache.update(key, "model", ANSWER)

    def miss(key: str) -> None:
        cache.lookup(key, "model")

    return [
        Case(BARE, lambda key: redis.set(key, TEXT, ex=600)),
        Case(REPLACED, lambda key: replaced.update(key, "model", ANSWER), BARE),
        Case("this library, after a miss", store, REPLACED, prepare=miss),
        Case("this library, alone", store, REPLACED),
    ]
