from typing import Any

import pytest
from tests.integration.protected_request import protected_request

from llm_cache import CachePolicy, InvalidSettings, ResponseCache, UpstashRedisCache
from llm_cache._engine import cache_call
from llm_cache._entries.keys import Keyspace, digest, tag_hash
from llm_cache._upstash.credentials import Credentials
from llm_cache._upstash.upstash_store import UpstashStore


def test_different_parts_of_the_same_joined_text_hash_differently() -> None:
    assert digest("ab", "c") != digest("a", "bc")
    assert digest("1:a", "b") != digest("a", "1:b")
    assert digest("ab") != digest("ab", "")


def test_hash_never_changes() -> None:
    # sha256sum of b"6:h\xc3\xa9llo1:x": lengths are in bytes
    hashed = "224c9ac83484a44d5f85b9557071b03b345d8040c15c6ff178bbbe21ccc6ec88"
    assert digest("héllo", "x") == hashed


def test_lone_surrogates_are_hashed() -> None:
    assert digest("\ud800") != digest("\ud801")


def test_tag_hash_is_half_a_digest() -> None:
    # sha256sum of b"3:tag3:red": a clear by another release must reach the same epoch
    assert tag_hash("red") == "57d44a71407222d6c141f63f2f830157"


@pytest.mark.parametrize(
    ("keys", "prefix"), [(Keyspace("shop"), "shop"), (Keyspace(), "llm_cache")]
)
def test_keys_begin_with_the_namespace_or_the_default_prefix(keys: Keyspace, prefix: str) -> None:
    assert keys.epochs(["0f"]) == (f"{prefix}:epoch", f"{prefix}:epoch:0f")
    assert keys.entry("00ff") == f"{prefix}:entry:00ff"
    assert keys.lease("00ff") == f"{prefix}:lease:00ff"


def test_pattern_escapes_glob_characters_of_the_namespace() -> None:
    assert Keyspace("a*[b]?\\^").entry_pattern == r"a\*\[b\]\?\\\^:entry:*"


def test_namespace_owns_no_key_of_another_namespace_with_its_prefix() -> None:
    outer, inner, hashed = Keyspace("b"), Keyspace("b:entry"), "0" * 64
    assert outer.owns_entry(outer.entry(hashed))
    assert not outer.owns_entry(inner.entry(hashed))
    assert not outer.owns_entry(inner.epoch)
    assert not outer.owns_entry(Keyspace("a").entry(hashed))
    assert not outer.owns_entry(Keyspace("c").entry(hashed))


@pytest.mark.parametrize("namespace", ["x", "x" * 200, "é *"])
def test_namespace_has_up_to_200_printable_characters(namespace: str) -> None:
    assert Keyspace(namespace).prefix == namespace


@pytest.mark.parametrize("namespace", ["", "a\nb", "x" * 201, 7])
def test_invalid_namespace_is_refused_with_its_value(namespace: str) -> None:
    with pytest.raises(InvalidSettings) as raised:
        Keyspace(namespace)
    message = f"namespace={namespace!r} is not accepted: 1 to 200 printable"
    assert str(raised.value).startswith(message)


def test_order_of_tags_has_no_effect_on_their_hashes() -> None:
    keys = Keyspace("ns")
    assert keys.tags(["a", "b", "c"]) == keys.tags(["c", "b", "a"])
    assert keys.tags(["a", "b", "c"]) == tuple(sorted(map(tag_hash, "abc")))
    assert keys.tags(None) == ()


def test_tenant_and_tag_of_one_name_hash_differently() -> None:
    keys = Keyspace("ns")
    assert keys.tags(["a"], "a") == (keys.tenant("a"), keys.tag("a"))
    assert keys.tenant("a") != keys.tag("a")


def test_every_key_changes_with_the_key_version(monkeypatch: pytest.MonkeyPatch) -> None:
    store = UpstashStore(lambda: Credentials("https://example.com", "token"))
    caches = [UpstashRedisCache(store), UpstashRedisCache(store, canonical_keys=False)]
    responses = ResponseCache(store, version="1")

    def keys() -> list[str]:
        calls: list[Any] = [cache._call_of("p", "model") for cache in caches]
        with caches[0].policy(CachePolicy(key="k")):
            calls += [caches[0]._call_of("p", "model"), responses._call_of("q")]
        calls += [responses._call_of("q")]
        return [protected_request(call).key for call in calls]

    before = keys()
    assert len({*before}) == 5
    monkeypatch.setattr(cache_call, "KEY_VERSION", 99)
    assert not {*keys()} & {*before}
