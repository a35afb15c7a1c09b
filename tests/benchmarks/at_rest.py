"""What signing and encrypting cost: a store and a hit of a short and a long answer, in turns."""

import base64
import secrets

from langchain_core.outputs import Generation
from tests.benchmarks.serving import served
from tests.benchmarks.wire import Case, measure, show
from upstash_redis import Redis

from llm_cache import Encryption, Signing, UpstashRedisCache
from llm_cache.seal import Seal

ROUNDS = 100
KEY = base64.b64encode(secrets.token_bytes(32)).decode()
SEALS: dict[str, Seal | None] = {
    "plain": None,
    "signed": Signing(KEY),
    "encrypted": Encryption(KEY),
}


def prose(length: int) -> str:
    """Return text that compresses about as model answers do."""
    words = [secrets.token_hex(secrets.randbelow(3) + 1) for _ in range(400)]
    return " ".join(secrets.choice(words) for _ in range(length))[:length]


def cases(redis: Redis) -> list[Case]:
    return [case for size in (2, 100) for case in of_size(redis, size)]


def of_size(redis: Redis, size: int) -> list[Case]:
    answer, made = [Generation(text=prose(size * 1000))], []
    for kind, seal in SEALS.items():
        cache = UpstashRedisCache(redis, ttl=600, namespace=f"bench {kind}", seal=seal)
        hit = f"hit {size}"
        cache.update(hit, "model", answer)

        def store(key: str, cache: UpstashRedisCache = cache) -> None:
            cache.update(key, "model", answer)

        def lookup(key: str, cache: UpstashRedisCache = cache) -> None:
            cache.lookup(key, "model")

        def found(_: str, cache: UpstashRedisCache = cache, hit: str = hit) -> None:
            assert cache.lookup(hit, "model")

        stored, hits = (f"{what}, {size} KB" for what in ("store", "hit"))
        beside = kind != "plain"
        made += [
            Case(f"{stored}, {kind}", store, f"{stored}, plain" if beside else "", lookup),
            Case(f"{hits}, {kind}", found, f"{hits}, plain" if beside else ""),
        ]
    return made


def main() -> None:
    with served() as (_, upstash):
        measured = measure(upstash, cases, ROUNDS)
    print(f"\nAt rest, median of {ROUNDS} rounds in turns\n")
    show(measured)
