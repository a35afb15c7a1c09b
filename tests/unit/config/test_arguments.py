"""A wrong argument is refused where it is given, by its name, and shows no secret."""

import base64
import math
from dataclasses import fields
from datetime import timedelta
from functools import partial
from typing import Any, get_type_hints

import pytest
from upstash_redis import Redis

from llm_cache import (
    Breaker,
    CacheNamespace,
    CachePolicy,
    InvalidPolicy,
    InvalidSettings,
    MemoryTier,
    Mode,
    ResponseCache,
    Signing,
    UpstashRedisCache,
)
from llm_cache._engine.scope import current
from llm_cache._policy.policy_arguments import PolicyArguments

KEY = base64.b64encode(b"k" * 32).decode()
CLIENT = Redis("https://x.upstash.io", "token")

WRONG: list[tuple[str, list[Any]]] = [
    ("memory", [5, 0, True, MemoryTier, {"seconds": 5}]),
    ("breaker", [5, 0, False, Breaker]),
    ("clock", [5, None, "now", math]),
    ("namespace", [5, "", b"shop", ("shop",)]),
    ("timeout", [0, "1", None, True, math.nan, math.inf, 10**400, timedelta(seconds=1)]),
    ("lease", [0, "1", None, True, math.nan, math.inf]),
    ("max_bytes", [0, "1", None, True, math.nan, 1.5]),
    ("ttl_floor", [0, -1, "x", None, True, math.nan, math.inf, timedelta(seconds=1)]),
    ("ttl_ceiling", ["x", None, True, math.nan, math.inf, [60]]),
    ("ttl_jitter", [1, "0.1", None, True, math.nan]),
    ("canonical_keys", ["no", 0, 1, None]),
    ("mark_hits", ["no", 0, 1]),
    ("do_not_store", [5, None, "truncated", ["boring"], [[]], [None]]),
]


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in WRONG for value in values]
)
def test_wrong_argument_is_refused_with_its_name_and_value(name: str, value: Any) -> None:
    with pytest.raises(InvalidSettings) as raised:
        UpstashRedisCache(CLIENT, **{name: value})
    assert (raised.value.name, raised.value.value) == (name, value)
    assert str(raised.value).startswith(f"{name}=")
    assert len(raised.value.accepted) > 5


@pytest.mark.parametrize("ttl", ["60", True, math.nan, math.inf, -1, [60]])
def test_wrong_default_ttl_is_refused(ttl: Any) -> None:
    with pytest.raises(InvalidPolicy, match=r"^ttl="):
        UpstashRedisCache(CLIENT, ttl=ttl)


@pytest.mark.parametrize("ttl", [None, 60, timedelta(minutes=1), lambda _answer, _now: 60])
def test_client_and_ttl_passed_in_can_be_read_and_not_set(ttl: Any) -> None:
    cache: Any = UpstashRedisCache(CLIENT, ttl=ttl)
    assert (cache.redis, cache.ttl) == (CLIENT, ttl)
    for name in ("redis", "ttl"):
        with pytest.raises(AttributeError):
            setattr(cache, name, None)


def test_cache_of_the_environment_has_no_client_and_its_ttl() -> None:
    located = {"UPSTASH_REDIS_REST_URL": "https://x", "UPSTASH_REDIS_REST_TOKEN": "token"}
    cache = UpstashRedisCache.from_env({**located, "LLM_CACHE_TTL": "60"}, namespace="n")
    assert (cache.redis, cache.ttl) == (None, 60)
    assert UpstashRedisCache(CLIENT).ttl is None


def test_floor_above_the_ceiling_is_refused() -> None:
    with pytest.raises(InvalidSettings, match=r"^ttl_floor=20 .* at most ttl_ceiling=10$"):
        UpstashRedisCache(CLIENT, ttl_floor=20, ttl_ceiling=10)


@pytest.mark.parametrize("protection", [KEY, KEY.encode(), [KEY], 12345, Signing, {"key": KEY}])
def test_wrong_protection_is_refused_without_its_value(protection: Any) -> None:
    kind, accepted = type(protection).__name__, "Signing(keys), Encryption(keys), or None"
    for make in (partial(UpstashRedisCache, CLIENT), partial(CacheNamespace, store(), "n")):
        with pytest.raises(InvalidSettings) as raised:
            make(protection=protection)
        assert str(raised.value) == f"protection={kind!r} is not accepted: {accepted}"
        assert raised.value.value == kind


def store() -> Any:
    return UpstashRedisCache(CLIENT)._store


def test_namespace_refuses_a_client_in_place_of_a_store() -> None:
    client: Any = CLIENT
    with pytest.raises(InvalidSettings, match=r"^store="):
        CacheNamespace(client, "n")


@pytest.mark.parametrize("version", [5, None, ["v1"]])
def test_wrong_version_is_refused(version: Any) -> None:
    with pytest.raises(InvalidSettings, match=r"^version="):
        ResponseCache(CLIENT, version=version)


def test_wrong_clocks_of_the_parts_are_refused() -> None:
    clock: Any = 5
    with pytest.raises(InvalidSettings, match=r"^memory clock=5"):
        MemoryTier(seconds=5, clock=clock)
    with pytest.raises(InvalidSettings, match=r"^breaker clock=5"):
        Breaker(clock=clock)


def test_parts_that_are_accepted_are_used() -> None:
    memory, breaker = MemoryTier(seconds=5), Breaker()
    protection, clock = Signing(KEY + " " + KEY), lambda: 5.0
    cache = UpstashRedisCache(
        CLIENT, memory=memory, breaker=breaker, protection=protection, clock=clock
    )
    assert (cache._memory, cache._breaker, cache._protection) == (memory, breaker, protection)
    assert cache._answers.clock is clock


@pytest.mark.parametrize("policy", [120, 0, "x", "", {"ttl": 120}, {}, False, timedelta(1)])
def test_policy_block_refuses_what_is_no_policy(policy: Any) -> None:
    with pytest.raises(InvalidPolicy, match=r"^policy=.* as in policy\(ttl=120\)"):
        UpstashRedisCache(CLIENT).policy(policy)


def test_refused_policy_shows_no_value_of_the_call() -> None:
    policy: Any = {"tenant": "mark-tenant"}
    with pytest.raises(InvalidPolicy) as raised:
        UpstashRedisCache(CLIENT).policy(policy)
    assert "mark-tenant" not in str(raised.value)


def test_policy_block_takes_the_fields_of_a_policy() -> None:
    with UpstashRedisCache(CLIENT).policy(ttl=120, mode="refresh", tags=["a"]):
        assert current().policy == CachePolicy(ttl=120, mode=Mode.REFRESH, tags=("a",))


def test_policy_block_refuses_a_policy_and_fields_together() -> None:
    with pytest.raises(InvalidPolicy, match="not both"):
        UpstashRedisCache(CLIENT).policy(CachePolicy(ttl=60), ttl=120)


def test_policy_block_refuses_a_wrong_or_unknown_field() -> None:
    cache: Any = UpstashRedisCache(CLIENT)
    with pytest.raises(InvalidPolicy, match=r"^ttl='120'"):
        cache.policy(ttl="120")
    with pytest.raises(TypeError, match="tll"):
        cache.policy(tll=120)


def test_fields_by_keyword_are_the_fields_of_a_policy() -> None:
    hints = get_type_hints(CachePolicy)
    assert get_type_hints(PolicyArguments) == {
        each.name: hints[each.name] for each in fields(CachePolicy)
    }


def test_context_whose_time_cannot_be_asked_for_is_refused() -> None:
    class Context:
        get_remaining_time_in_millis = 5

    context: Any = Context()
    with pytest.raises(InvalidPolicy, match=r"^context="):
        UpstashRedisCache(CLIENT).policy(context=context).__enter__()
