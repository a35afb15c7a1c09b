"""A wrong argument is refused by its name, and the error shows no secret."""

import base64
import inspect
import math
import pydoc
from collections.abc import Callable
from dataclasses import fields
from datetime import timedelta
from functools import partial
from typing import Any, get_type_hints

import pytest
from upstash_redis import Redis

from llm_cache import (
    Breaker,
    CacheConfig,
    CacheNamespace,
    CachePolicy,
    Encryption,
    InvalidPolicy,
    InvalidSettings,
    MemoryTier,
    Mode,
    ResponseCache,
    Signing,
    UpstashRedisCache,
)
from llm_cache._engine.options import CacheValues
from llm_cache._engine.scope import current
from llm_cache._policy.policy_arguments import PolicyArguments
from llm_cache._reasons import UNCACHEABLE

KEY = base64.b64encode(b"k" * 32).decode()
CLIENT = Redis("https://x.upstash.io", "token")
OPTIONS = (
    "ttl=None, namespace=None, ttl_floor=1.0, ttl_ceiling=315360000, ttl_jitter=0.0, "
    "timeout=1.0, max_bytes=900000, lease=30.0, memory=None, breaker=None, protection=None, "
    "clock=<built-in function time>)"
)
UPSTASH = f"canonical_keys=True, mark_hits=None, do_not_store={UNCACHEABLE}, ignored_headers=(), "


@pytest.mark.parametrize(
    ("kind", "own"), [(UpstashRedisCache, UPSTASH), (ResponseCache, "version, validate=None, ")]
)
def test_signature_and_help_show_every_argument_with_its_default(kind: type, own: str) -> None:
    shown = inspect.signature(kind)
    plain = [each.replace(annotation=each.empty) for each in shown.parameters.values()]
    assert str(shown.replace(parameters=plain)) == f"(redis_, *, {own}{OPTIONS}"
    assert f"{kind.__name__}{shown}" in pydoc.plain(pydoc.render_doc(kind))
    assert "ttl_floor: 'float' = 1.0, " in str(shown)
    assert "memory: 'MemoryTier | None' = None, " in str(shown)


@pytest.mark.parametrize("kind", [UpstashRedisCache, partial(ResponseCache, version="1")])
def test_cache_refuses_each_field_of_a_config_that_it_would_ignore(kind: Any) -> None:
    options = inspect.signature(kind).parameters
    ignored = [field.name for field in fields(CacheConfig) if field.name not in options]
    assert "encryption_key" in ignored
    for name in ignored:
        with pytest.raises(TypeError, match=f"unexpected keyword argument '{name}'"):
            kind(CLIENT, **{name: KEY})


def test_options_that_a_config_checks_have_its_types() -> None:
    hints = get_type_hints(CacheConfig)
    assert get_type_hints(CacheValues) == {
        name: hints[name] for name in CacheValues.__annotations__
    }


cache, responses = partial(UpstashRedisCache, CLIENT), partial(ResponseCache, CLIENT)
memory_tier, namespace = partial(MemoryTier, seconds=5), partial(CacheNamespace, namespace="n")


@pytest.mark.parametrize(
    ("make", "name", "values"),
    [
        (cache, "memory", [5, 0, True, MemoryTier, {"seconds": 5}]),
        (cache, "breaker", [5, 0, False, Breaker]),
        (cache, "clock", [5, None, "now", math]),
        (cache, "canonical_keys", ["no", 0, 1, None]),
        (cache, "mark_hits", ["no", 0, 1]),
        (cache, "do_not_store", [5, None, "truncated", ["boring"], [[]], [None]]),
        (cache, "timeout", [0]),
        (responses, "version", [5, None, ["v1"]]),
        (memory_tier, "memory clock", [5]),
        (Breaker, "breaker clock", [5]),
        (namespace, "store", [CLIENT]),
    ],
)
def test_wrong_argument_is_refused_with_its_name_and_value(
    make: Callable[..., object], name: str, values: list[Any]
) -> None:
    for value in values:
        with pytest.raises(InvalidSettings) as raised:
            make(**{name.rsplit(maxsplit=1)[-1]: value})
        assert (raised.value.name, raised.value.value) == (name, value)
        assert raised.value.accepted


@pytest.mark.parametrize("ttl", [None, 60, timedelta(minutes=1), lambda _answer, _now: 60])
def test_client_and_ttl_can_be_read_and_not_set(ttl: Any) -> None:
    cache: Any = UpstashRedisCache(CLIENT, ttl=ttl)
    assert (cache.redis, cache.ttl) == (CLIENT, ttl)
    for name in ("redis", "ttl"):
        with pytest.raises(AttributeError):
            setattr(cache, name, None)


def test_cache_from_the_environment_has_no_client_and_its_ttl() -> None:
    location = {"UPSTASH_REDIS_REST_URL": "https://x", "UPSTASH_REDIS_REST_TOKEN": "token"}
    cache = UpstashRedisCache.from_env({**location, "LLM_CACHE_TTL": "60"}, namespace="n")
    assert (cache.redis, cache.ttl) == (None, 60)


@pytest.mark.parametrize("protection", [KEY, KEY.encode(), [KEY], 12345, Signing, {"key": KEY}])
def test_wrong_protection_is_refused_without_its_value(protection: Any) -> None:
    kind, accepted = type(protection).__name__, "Signing(keys), Encryption(keys), or None"
    store = UpstashRedisCache(CLIENT)._runner.store
    for make in (cache, partial(namespace, store)):
        with pytest.raises(InvalidSettings) as raised:
            make(protection=protection)
        assert str(raised.value) == f"protection={kind!r} is not accepted: {accepted}"
        assert raised.value.value == kind


@pytest.mark.parametrize("kind", [Signing, Encryption])
def test_objects_that_are_passed_in_are_used(kind: Callable[[str], Signing | Encryption]) -> None:
    memory, breaker = MemoryTier(seconds=5), Breaker()
    protection, clock = kind(KEY + " " + KEY), lambda: 5.0
    cache = UpstashRedisCache(
        CLIENT, memory=memory, breaker=breaker, protection=protection, clock=clock
    )
    assert (cache._tiers.memory, cache._runner.breaker, cache._runner.own_protection) == (
        memory,
        breaker,
        protection,
    )
    assert cache._clock is clock


@pytest.mark.parametrize("policy", [120, 0, "x", "", {"tenant": "private"}, {}, False])
def test_policy_block_refuses_a_wrong_policy_without_its_value(policy: Any) -> None:
    with pytest.raises(InvalidPolicy, match=r"^policy=.* as in policy\(ttl=120\)") as raised:
        UpstashRedisCache(CLIENT).policy(policy)
    assert "private" not in str(raised.value)


def test_policy_block_takes_a_policy_or_its_fields() -> None:
    cache, policy = UpstashRedisCache(CLIENT), CachePolicy(ttl=120, mode=Mode.REFRESH, tags=("a",))
    for block in (cache.policy(policy), cache.policy(ttl=120, mode="refresh", tags=["a"])):
        with block:
            assert current().policy == policy


def test_policy_block_refuses_wrong_or_unknown_fields_and_fields_with_a_policy() -> None:
    cache: Any = UpstashRedisCache(CLIENT)
    with pytest.raises(InvalidPolicy, match=r"^ttl='120'"):
        cache.policy(ttl="120")
    with pytest.raises(TypeError, match="tll"):
        cache.policy(tll=120)
    with pytest.raises(InvalidPolicy, match="not both"):
        cache.policy(CachePolicy(ttl=60), ttl=120)


def test_arguments_of_a_policy_block_are_the_fields_of_a_policy() -> None:
    hints = get_type_hints(CachePolicy)
    assert get_type_hints(PolicyArguments) == {
        each.name: hints[each.name] for each in fields(CachePolicy)
    }


def test_context_without_a_method_for_the_remaining_time_is_refused() -> None:
    class Context:
        get_remaining_time_in_millis = 5

    context: Any = Context()
    with pytest.raises(InvalidPolicy, match=r"^context="):
        UpstashRedisCache(CLIENT).policy(context=context).__enter__()
