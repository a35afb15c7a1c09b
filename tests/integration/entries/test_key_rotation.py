from tests.integration.entries.protected_cache import (
    ANSWER,
    NEW,
    OLD,
    CacheFactory,
    outcome,
    store_answer,
)
from upstash_redis import Redis

from llm_cache import CacheNamespace, CachePolicy, Signing
from llm_cache._upstash.upstash_store import UpstashStore


def test_rotation_of_keys_loses_no_entry(make: CacheFactory) -> None:
    old, both, after = make(OLD), make(f"{NEW} {OLD}"), make(f"{NEW} names:{OLD}")
    key = store_answer(old)
    assert outcome(make(NEW)) == "unknown"  # another key alone is a cold cache
    assert outcome(both) == "hit"
    with both.policy(CachePolicy(mode="refresh")):
        both.update("p", "model", ANSWER)
    assert outcome(after) == outcome(both) == "hit"
    assert outcome(old) == "unreadable"  # a process that has only the old key
    assert store_answer(both) == key


def test_entry_of_a_removed_key_is_a_miss(make: CacheFactory) -> None:
    store_answer(make(OLD))
    assert outcome(make(f"{NEW} names:{OLD}")) == "unreadable"


def test_tag_clear_reaches_entries_from_before_and_after_a_rotation(
    make: CacheFactory, redis: Redis
) -> None:
    tagged = CachePolicy(tags=("red",))
    old, both = make(OLD), make(f"{NEW} {OLD}")
    store_answer(old, policy=tagged)
    make(f"{NEW} names:{OLD}").clear(tag="red")
    assert outcome(both, tagged) == outcome(both) == "cleared"
    store_answer(both, policy=tagged)
    CacheNamespace(UpstashStore.from_client(redis), "shop", protection=Signing(OLD)).clear("red")
    assert outcome(both) == "cleared"
