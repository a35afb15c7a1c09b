"""The cost of signed and encrypted entries: stores and hits of a short and a long answer."""

import base64
import itertools
import secrets

from langchain_core.outputs import Generation
from tests.benchmarks.answers import prose
from tests.benchmarks.client_process import Setup
from tests.benchmarks.interleaved import Case, interleave, table
from tests.benchmarks.tables import Table
from upstash_redis import Redis

from llm_cache import Encryption, Signing, UpstashRedisCache

ROUNDS = 100
KEY = base64.b64encode(secrets.token_bytes(32)).decode()
PROTECTIONS = {"plain": None, "signed": Signing(KEY), "encrypted": Encryption(KEY)}
SIZES = (2, 100)  # KB


def measure(setup: Setup) -> list[Table]:
    with Redis(setup.url, setup.token) as redis:
        kinds = itertools.product(SIZES, PROTECTIONS)
        cases = [case for size, name in kinds for case in _cases(redis, size, name)]
        interleave(cases, setup.rounds(ROUNDS), setup.meter)
    return [table("Signed and encrypted entries", cases, plot="")]


def _cases(redis: Redis, kilobytes: int, kind: str) -> list[Case]:
    answer, size = [Generation(text=prose(kilobytes * 1000))], f"{kilobytes} KB"
    protection, namespace = PROTECTIONS[kind], f"bench {kind}"
    cache = UpstashRedisCache(redis, ttl=600, namespace=namespace, protection=protection)
    cache.update(size, "model", answer)

    def hit(_: str) -> None:
        assert cache.lookup(size, "model")

    return [
        Case(
            f"store, {size}, {kind}",
            lambda key: cache.update(key, "model", answer),
            f"store, {size}, plain" if protection else "",
            prepare=lambda key: cache.lookup(key, "model"),
        ),
        Case(f"hit, {size}, {kind}", hit, f"hit, {size}, plain" if protection else ""),
    ]
