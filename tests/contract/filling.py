"""Very many answers in one namespace, put there without asking for each."""

from tests.contract.connection import Connection

from llm_cache.keys import Keyspace, digest

BATCH = 10_000


def fill(server: Connection, namespace: str, like: str, count: int) -> None:
    """Put ``count`` copies of the entry under the key ``like`` into a namespace."""
    keys, text = Keyspace(namespace), server.call("GET", like)
    for start in range(0, count, BATCH):
        batch = range(start, min(start + BATCH, count))
        server.pipeline(
            ("SET", keys.entry(digest(str(number))), text, "EX", 3600) for number in batch
        )
