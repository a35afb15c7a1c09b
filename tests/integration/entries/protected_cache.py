"""Caches with signed or encrypted entries, and one stored answer."""

import base64
from collections.abc import Callable

from langchain_core.outputs import Generation

from llm_cache import CachePolicy, Encryption, Signing, UpstashRedisCache
from llm_cache._entries.protection import Protection

NEW, OLD = (base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2))
ANSWER = [Generation(text="an answer with a marker")]
LONG = [Generation(text="an answer with a marker " * 500)]
Kind = Callable[[str], Protection]
KINDS: list[Kind] = [Signing, Encryption]
CacheFactory = Callable[..., UpstashRedisCache]


def store_answer(
    cache: UpstashRedisCache, answer: list[Generation] = ANSWER, policy: CachePolicy | None = None
) -> str:
    """Store an answer after a miss, as LangChain does; return its key in Redis."""
    with cache.policy(policy) as report:
        assert cache.lookup("p", "model") is None
        cache.update("p", "model", answer)
    assert report.stored == 1
    return report.outcomes[-1].key


def outcome(cache: UpstashRedisCache, policy: CachePolicy | None = None) -> str:
    """Look up; return ``hit``, or the reason of the miss."""
    with cache.policy(policy) as report:
        cache.lookup("p", "model")
    return report.outcomes[0].why or str(report.outcomes[0].status)
