"""Many answers in one namespace, copied directly into Redis."""

from collections.abc import Iterator
from contextlib import contextmanager

from langchain_core.outputs import Generation
from tests.integration.protected_request import protected_request
from tests.integration.upstash.connection import Connection
from upstash_redis import Redis

from llm_cache import UpstashRedisCache
from llm_cache._entries.keys import Keyspace, digest
from upstash_endpoint.redis_server import RedisServer

ANSWER = [Generation(text="an answer")]
BATCH = 10_000


def fill(server: Connection, namespace: str, like: str, count: int) -> None:
    """Put ``count`` copies of the entry under the key ``like`` into a namespace."""
    keys, text = Keyspace(namespace), server.call("GET", like)
    for start in range(0, count, BATCH):
        batch = range(start, min(start + BATCH, count))
        server.pipeline(
            ("SET", keys.entry(digest(str(number))), text, "EX", 3600) for number in batch
        )


@contextmanager
def among_many(
    server: RedisServer, redis: Redis, count: int
) -> Iterator[tuple[UpstashRedisCache, Connection]]:
    """Return a cache with a hit among ``count`` answers, and a connection to its server."""
    cache = UpstashRedisCache(redis, namespace="shop")
    for each in (cache, UpstashRedisCache(redis, namespace="other")):
        each.update("p", "model", ANSWER)
    connection = Connection(server)
    key = protected_request(cache._call_of("p", "model")).key
    fill(connection, "shop", key, count - 1)
    yield cache, connection
    connection.close()
