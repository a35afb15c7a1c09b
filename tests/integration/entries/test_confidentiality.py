"""Redis, reports and logs show no answer, no name and no key."""

import base64
import hashlib
import logging

import pytest
from langchain_core.outputs import Generation
from tests.integration.entries.protected_cache import (
    ANSWER,
    LONG,
    NEW,
    OLD,
    CacheFactory,
    store_answer,
)
from tests.integration.protected_request import protected_request
from upstash_redis import Redis

from llm_cache import CachePolicy, Encryption, UpstashRedisCache
from llm_cache._entries.keys import digest, tag_hash


def content(redis: Redis) -> str:
    return " ".join(f"{key} {redis.get(key)}" for key in redis.keys("*"))


@pytest.mark.parametrize("answer", [ANSWER, LONG])
def test_redis_shows_nothing_of_an_encrypted_answer(redis: Redis, answer: list[Generation]) -> None:
    cache = UpstashRedisCache(redis, namespace="shop", protection=Encryption(NEW))
    store_answer(cache, answer)
    stored = content(redis)
    assert len(stored) > 200
    shown = ("marker", "Generation", base64.b64encode(b"marker").decode()[:7])
    assert not [text for text in shown if text in stored]


def guesses(policy: CachePolicy) -> set[str]:
    """Return unkeyed hashes of the prompt, the tenant and the tag."""
    plain = UpstashRedisCache(Redis("https://x", "token"), namespace="shop")
    with plain.policy(policy):
        hashed = protected_request(plain._call_of("p", "model")).hashed
    return {hashed, tag_hash("invoices"), digest("tag", "invoices")} | {
        hashlib.sha256(text.encode()).hexdigest() for text in ("p", "acme", "invoices")
    }


def test_guess_of_a_prompt_tenant_or_tag_cannot_be_tested_in_redis(
    make: CacheFactory, redis: Redis
) -> None:
    policy = CachePolicy(tenant="acme", tags=("invoices",), coalesce="fleet")
    cache = make()
    with cache.policy(policy):
        cache.lookup("p", "model")
        stored = content(redis)  # a lease is there
        cache.update("p", "model", ANSWER)
        cache.clear(tag="invoices")
    stored += content(redis)
    assert ":lease:" in stored
    assert stored.count(":epoch:") >= 1
    assert not {guess for guess in guesses(policy) if guess[:32] in stored}


def test_guesses_can_be_tested_without_a_key(redis: Redis) -> None:
    policy = CachePolicy(tenant="acme", tags=("invoices",))
    store_answer(UpstashRedisCache(redis, namespace="shop"), policy=policy)
    assert len({guess for guess in guesses(policy) if guess[:32] in content(redis)}) == 3


def test_reports_logs_and_reprs_show_no_key(
    make: CacheFactory, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    cache = make(f"{NEW} {OLD}")
    with caplog.at_level(logging.DEBUG), cache.policy() as report:
        cache.lookup("p", "model")
        cache.update("p", "model", ANSWER)
        redis.set(report.outcomes[-1].key, "rubbish")
        cache.lookup("p", "model")
    request = protected_request(cache._call_of("p", "model"))
    seen = f"{report!r} {caplog.text} {request!r} {cache!r} {vars(cache)!r} {request.protection!r}"
    raw = [repr(bytes([number]) * 4)[2:-1] for number in (1, 2)]
    name_secret = repr(request.keys.secret)[2:10]
    assert not [secret for secret in (NEW, OLD, *raw, name_secret) if secret in seen]
