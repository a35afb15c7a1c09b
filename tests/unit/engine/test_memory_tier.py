"""The memory tier: lifetime, bounds and eviction of entries."""

import threading
from typing import Any

import pytest
from tests.clock import Clock

from llm_cache import InvalidSettings, MemoryTier

TAGS = ("t",)


@pytest.fixture
def clock() -> Clock:
    return Clock(now=100.0)


@pytest.fixture
def memory(clock: Clock) -> MemoryTier:
    return MemoryTier(seconds=10, max_bytes=10, clock=clock)


@pytest.fixture
def two_entries(clock: Clock) -> MemoryTier:
    return MemoryTier(seconds=10, max_entries=2, clock=clock)


def put(memory: MemoryTier, *keys: str, text: str = "text") -> None:
    for key in keys:
        memory.put(key, TAGS, text, read_at=memory.clock())


def held(memory: MemoryTier, *keys: str) -> list[str]:
    return [key for key in keys if memory.get(key, TAGS) is not None]


def test_entry_is_returned_until_it_is_replaced(memory: MemoryTier) -> None:
    for text in ("text", "newer"):
        put(memory, "a", text=text)
        assert memory.get("a", TAGS) == text
    assert memory.get("b", TAGS) is None


@pytest.mark.parametrize(("seconds", "found"), [(9.9, True), (10.0, False)])
def test_entry_is_dropped_after_its_seconds(
    memory: MemoryTier, clock: Clock, seconds: float, found: bool
) -> None:
    put(memory, "a")
    clock.now += seconds
    assert bool(held(memory, "a")) == bool(memory._kept) == found


def test_seconds_begin_when_redis_was_read(memory: MemoryTier, clock: Clock) -> None:
    memory.put("a", TAGS, "text", read_at=clock.now - 4)
    clock.now += 6
    assert memory.get("a", TAGS) is None


def test_hit_does_not_prolong_the_entry(memory: MemoryTier, clock: Clock) -> None:
    put(memory, "a")
    clock.now += 6
    assert held(memory, "a")
    clock.now += 6
    assert not held(memory, "a")


def test_least_recently_read_entry_is_evicted_first(two_entries: MemoryTier) -> None:
    put(two_entries, "a", "b")
    assert held(two_entries, "a")
    put(two_entries, "c")
    assert held(two_entries, "a", "b", "c") == ["a", "c"]


def test_put_counts_as_use(two_entries: MemoryTier) -> None:
    put(two_entries, "a", "b", "a", "c")
    assert held(two_entries, "a", "b", "c") == ["a", "c"]


def test_tier_holds_up_to_its_bytes(memory: MemoryTier) -> None:
    put(memory, "a", "b", text="12345")
    assert held(memory, "a", "b") == ["a", "b"]
    put(memory, "c", text="1")
    assert held(memory, "a", "b", "c") == ["b", "c"]


def test_large_entry_evicts_several(memory: MemoryTier) -> None:
    put(memory, "a", "b", "c", text="123")
    put(memory, "d", text="1234567890")
    assert held(memory, "a", "b", "c", "d") == ["d"]


def test_entry_larger_than_the_tier_only_drops_the_entry_it_replaces(memory: MemoryTier) -> None:
    put(memory, "a", "b", text="123")
    put(memory, "a", text="12345678901")
    assert held(memory, "a", "b") == ["b"]


def test_removed_entries_free_their_bytes(memory: MemoryTier, clock: Clock) -> None:
    for _ in range(3):
        put(memory, "replaced", text="1234567890")
    put(memory, "discarded", text="1234567890")
    memory.discard("discarded")
    put(memory, "expired", text="1234567890")
    clock.now += 10
    assert not held(memory, "expired")
    put(memory, "cleared", text="1234567890")
    memory.clear()
    clock.now += 1
    put(memory, "a", "b", text="12345")
    assert held(memory, "a", "b") == ["a", "b"]


def test_lookup_of_other_tags_misses_and_keeps_the_entry(memory: MemoryTier) -> None:
    put(memory, "a")
    assert memory.get("a", ()) is None
    assert memory.get("a", ("u",)) is None
    assert memory.get("a", TAGS) == "text"


def test_discard_removes_one_entry_and_clear_removes_all(memory: MemoryTier) -> None:
    put(memory, "a", "b", "c", text="1")
    memory.discard("a")
    memory.discard("unknown")
    assert held(memory, "a", "b", "c") == ["b", "c"]
    memory.clear()
    assert held(memory, "b", "c") == []


@pytest.mark.parametrize("removal", ["clear", "discard"])
@pytest.mark.parametrize(("read_at", "kept"), [(99.0, False), (100.0, False), (100.1, True)])
def test_entry_read_before_a_removal_is_not_kept(
    memory: MemoryTier, clock: Clock, removal: str, read_at: float, kept: bool
) -> None:
    if removal == "clear":
        memory.clear()
    else:
        memory.discard("a")
    clock.now += 1
    memory.put("a", TAGS, "text", read_at=read_at)
    assert bool(held(memory, "a")) == kept


@pytest.mark.parametrize("name", ["seconds", "max_entries", "max_bytes"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), True, "10", None])
def test_bound_that_is_not_above_0_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(InvalidSettings) as refused:
        MemoryTier(**{"seconds": 10, name: value})
    assert str(refused.value) == f"memory {name}={value!r} is not accepted: more than 0"


def test_threads_keep_the_count_of_bytes(clock: Clock) -> None:
    memory = MemoryTier(seconds=10, max_bytes=50, clock=clock)

    def churn(name: str) -> None:
        for number in range(2000):
            put(memory, f"{name}{number % 20}", text="1" * (number % 9))
            memory.get(f"{name}{number % 7}", TAGS)
            memory.discard(f"{name}{number % 5}")

    threads = [threading.Thread(target=churn, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert memory._bytes == sum(len(kept.text) for kept in memory._kept.values()) <= 50
