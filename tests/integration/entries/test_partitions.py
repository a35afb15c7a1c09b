"""Tenants, salts, namespaces, tags and keys of one answer: what they separate, clear and delete."""

from typing import Any

import pytest
from langchain_core.outputs import Generation
from upstash_redis import Redis

from llm_cache import CachePolicy, UpstashRedisCache
from upstash_endpoint.endpoint import UpstashEndpoint

ANSWER = [Generation(text="an answer")]


@pytest.fixture
def cache(redis: Redis) -> UpstashRedisCache:
    return UpstashRedisCache(redis, namespace="shop")


def put(cache: UpstashRedisCache, policy: CachePolicy | None = None, text: str = "p") -> None:
    with cache.policy(policy):
        cache.lookup(text, "model")
        cache.update(text, "model", ANSWER)


def hit(cache: UpstashRedisCache, policy: CachePolicy | None = None, text: str = "p") -> bool:
    with cache.policy(policy):
        return cache.lookup(text, "model") is not None


@pytest.mark.parametrize("field", ["tenant", "salt", "namespace"])
def test_answer_of_one_partition_is_a_miss_in_another(cache: UpstashRedisCache, field: str) -> None:
    fields: list[dict[str, Any]] = [{field: "a"}, {field: "b"}]
    one, other = (CachePolicy(**chosen) for chosen in fields)
    put(cache, one)
    assert (hit(cache, one), hit(cache, other), hit(cache)) == (True, False, False)


def test_no_trick_with_delimiters_reaches_another_tenant(cache: UpstashRedisCache) -> None:
    put(cache, CachePolicy(tenant="a", salt="b"))
    for tenant, salt in (("b", "a"), ("ab", None), (None, "ab"), ("a1:b", None), ("a", "b\x00")):
        assert not hit(cache, CachePolicy(tenant=tenant, salt=salt))


def test_neither_keys_nor_entries_show_tenant_salt_or_tag(
    cache: UpstashRedisCache, redis: Redis
) -> None:
    put(cache, CachePolicy(tenant="acme", salt="pepper", tags=("invoices",)))
    stored = " ".join(f"{key} {redis.get(key)}" for key in redis.keys("*"))
    assert not [word for word in ("acme", "pepper", "invoices") if word in stored]


def test_tag_clear_reaches_its_answers_and_no_others(cache: UpstashRedisCache) -> None:
    put(cache, CachePolicy(tags=("a", "b")), "both")
    put(cache, CachePolicy(tags=("b",)), "one")
    put(cache, None, "none")
    cache.clear(tag="a")
    assert not hit(cache, CachePolicy(tags=("a", "b")), "both")
    assert not hit(cache, None, "both")
    assert hit(cache, CachePolicy(tags=("b",)), "one")
    assert hit(cache, None, "none")


async def test_asynchronous_tag_clear_makes_its_answers_misses(cache: UpstashRedisCache) -> None:
    with cache.policy(CachePolicy(tags=("a",))):
        await cache.aupdate("p", "model", ANSWER)
        assert await cache.alookup("p", "model") == ANSWER
        await cache.aclear(tag="a")
        assert await cache.alookup("p", "model") is None


def test_tag_clear_of_the_whole_database_flushes_nothing(redis: Redis) -> None:
    cache = UpstashRedisCache(redis)
    redis.set("foreign", "stays")
    put(cache, CachePolicy(tags=("a",)), "tagged")
    put(cache, None, "plain")
    cache.clear(tag="a")
    assert (hit(cache, None, "tagged"), hit(cache, None, "plain")) == (False, True)
    assert redis.get("foreign") == "stays"


def test_custom_key_replaces_the_prompt_and_the_settings(cache: UpstashRedisCache) -> None:
    custom = CachePolicy(key="greeting of the day")
    put(cache, custom, "good morning?")
    assert hit(cache, custom, "how do you do?")
    assert not hit(cache, None, "good morning?")
    assert not hit(cache, CachePolicy(key="another"), "good morning?")
    assert not hit(cache, CachePolicy(key="greeting of the day", tenant="a"), "good morning?")


def test_order_of_tags_does_not_matter(cache: UpstashRedisCache) -> None:
    put(cache, CachePolicy(tags=("a", "b")))
    assert hit(cache, CachePolicy(tags=["b", "a", "b"]))


def test_lookup_with_a_tag_that_the_entry_lacks_is_a_miss(cache: UpstashRedisCache) -> None:
    put(cache)
    with cache.policy(CachePolicy(tags=("a",))) as report:
        assert cache.lookup("p", "model") is None
    assert report.outcomes[0].why == "not_tagged"


def test_hit_with_all_tags_named_is_one_command_else_two(
    cache: UpstashRedisCache, upstash: UpstashEndpoint
) -> None:
    policy = CachePolicy(tags=tuple("abcdefgh"))
    put(cache, policy)
    for lookup, commands in ((policy, 1), (None, 2)):
        upstash.meter.reset()
        assert hit(cache, lookup)
        assert upstash.meter.read().commands == commands


async def test_delete_removes_one_answer_of_one_tenant(cache: UpstashRedisCache) -> None:
    tenant = CachePolicy(tenant="a")
    put(cache)
    put(cache, None, "other")
    put(cache, tenant)
    assert cache.delete("p", "model")
    assert not cache.delete("p", "model")
    assert (hit(cache), hit(cache, None, "other"), hit(cache, tenant)) == (False, True, True)
    with cache.policy(tenant):
        assert await cache.adelete("p", "model")
    assert not hit(cache, tenant)


def test_lookup_under_other_tags_has_no_effect_on_an_update(cache: UpstashRedisCache) -> None:
    assert not hit(cache, CachePolicy(tags=("a",)))
    cache.clear(tag="b")
    with cache.policy(CachePolicy(tags=("b",))) as report:
        cache.update("p", "model", ANSWER)
    assert report.stored == 1
