"""What signing and encrypting cost: a store and a hit of a short and a long answer, in turns."""

import base64
import secrets

from langchain_core.outputs import Generation
from tests.benchmarks.answers import prose
from tests.benchmarks.apart import At
from tests.benchmarks.tables import Table
from tests.benchmarks.turns import Case, in_turns, table
from upstash_redis import Redis

from llm_cache import Encryption, Signing, UpstashRedisCache

ROUNDS = 100
KEY = base64.b64encode(secrets.token_bytes(32)).decode()
PROTECTIONS = {"plain": None, "signed": Signing(KEY), "encrypted": Encryption(KEY)}
SIZES = (2, 100)  # KB


def measure(at: At) -> list[Table]:
    """Measure each kind of entry at each size."""
    with Redis(at.url, at.token) as redis:
        cases = [case for size in SIZES for case in of_size(redis, size)]
        in_turns(cases, at.rounds(ROUNDS), at.meter)
    return [table("Signed and encrypted entries", cases, plot="")]


def of_size(redis: Redis, size: int) -> list[Case]:
    """Return a store and a hit of ``size`` KB for each kind."""
    answer = [Generation(text=prose(size * 1000))]
    return [case for kind in PROTECTIONS for case in of_kind(redis, kind, f"{size} KB", answer)]


def of_kind(redis: Redis, kind: str, size: str, answer: list[Generation]) -> list[Case]:
    """Return a store and a hit of one kind of entry."""
    cache = UpstashRedisCache(
        redis, ttl=600, namespace=f"bench {kind}", protection=PROTECTIONS[kind]
    )
    cache.update(size, "model", answer)

    def hit(_: str) -> None:
        assert cache.lookup(size, "model")

    beside = kind != "plain"
    return [
        Case(
            f"store, {size}, {kind}",
            lambda key: cache.update(key, "model", answer),
            f"store, {size}, plain" if beside else "",
            prepare=lambda key: cache.lookup(key, "model"),
        ),
        Case(f"hit, {size}, {kind}", hit, f"hit, {size}, plain" if beside else ""),
    ]
