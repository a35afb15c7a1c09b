"""What the first tier keeps, for how long, and what goes first; the clock is a number."""

import threading
from typing import Any

import pytest
from tests.clock import Clock

from llm_cache import InvalidSettings, MemoryTier

TAGS = ("t",)


@pytest.fixture
def clock() -> Clock:
    return Clock(now=100.0)


def tier(clock: Clock, **bounds: Any) -> MemoryTier:
    return MemoryTier(**{"seconds": 10, "clock": clock, **bounds})


def put(memory: MemoryTier, *keys: str, text: str = "text") -> None:
    for key in keys:
        memory.put(key, TAGS, text, read_at=memory.clock())


def held(memory: MemoryTier, *keys: str) -> list[str]:
    return [key for key in keys if memory.get(key, TAGS) is not None]


def test_what_was_put_is_there(clock: Clock) -> None:
    memory = tier(clock)
    put(memory, "a")
    assert memory.get("a", TAGS) == "text"
    assert memory.get("b", TAGS) is None


def test_what_is_put_again_replaces_what_was_there(clock: Clock) -> None:
    memory = tier(clock)
    put(memory, "a")
    put(memory, "a", text="newer")
    assert memory.get("a", TAGS) == "newer"


@pytest.mark.parametrize(("later", "found"), [(9.9, True), (10.0, False)])
def test_an_entry_is_kept_for_its_seconds(clock: Clock, later: float, found: bool) -> None:
    memory = tier(clock)
    put(memory, "a")
    clock.now += later
    assert bool(held(memory, "a")) == bool(memory._kept) == found


def test_its_seconds_begin_when_redis_was_asked(clock: Clock) -> None:
    memory = tier(clock)
    memory.put("a", TAGS, "text", read_at=clock.now - 4)
    clock.now += 6
    assert memory.get("a", TAGS) is None


def test_a_hit_does_not_prolong_it(clock: Clock) -> None:
    memory = tier(clock)
    put(memory, "a")
    clock.now += 6
    assert held(memory, "a")
    clock.now += 6
    assert not held(memory, "a")


def test_the_least_recently_used_goes_first(clock: Clock) -> None:
    memory = tier(clock, max_entries=2)
    put(memory, "a", "b")
    assert held(memory, "a")
    put(memory, "c")
    assert held(memory, "a", "b", "c") == ["a", "c"]


def test_putting_counts_as_use(clock: Clock) -> None:
    memory = tier(clock, max_entries=2)
    put(memory, "a", "b", "a", "c")
    assert held(memory, "a", "b", "c") == ["a", "c"]


def test_it_holds_as_many_bytes_as_it_may_and_no_more(clock: Clock) -> None:
    memory = tier(clock, max_bytes=10)
    put(memory, "a", "b", text="12345")
    assert held(memory, "a", "b") == ["a", "b"]
    put(memory, "c", text="1")
    assert held(memory, "a", "b", "c") == ["b", "c"]


def test_several_go_for_one_that_is_large(clock: Clock) -> None:
    memory = tier(clock, max_bytes=10)
    put(memory, "a", "b", "c", text="123")
    put(memory, "d", text="1234567890")
    assert held(memory, "a", "b", "c", "d") == ["d"]


def test_one_too_large_for_the_tier_is_left_out_with_what_it_replaces(clock: Clock) -> None:
    memory = tier(clock, max_bytes=10)
    put(memory, "a", "b", text="123")
    put(memory, "a", text="12345678901")
    assert held(memory, "a", "b") == ["b"]


def test_what_has_gone_in_any_way_leaves_its_room(clock: Clock) -> None:
    memory = tier(clock, max_bytes=10)
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


def test_a_lookup_of_other_tags_finds_nothing_and_drops_nothing(clock: Clock) -> None:
    memory = tier(clock)
    put(memory, "a")
    assert memory.get("a", ()) is None
    assert memory.get("a", ("u",)) is None
    assert memory.get("a", TAGS) == "text"


def test_discarding_forgets_one(clock: Clock) -> None:
    memory = tier(clock)
    put(memory, "a", "b")
    memory.discard("a")
    memory.discard("never there")
    assert held(memory, "a", "b") == ["b"]


def test_clearing_forgets_all(clock: Clock) -> None:
    memory = tier(clock)
    put(memory, "a", "b")
    memory.clear()
    assert held(memory, "a", "b") == []


@pytest.mark.parametrize(("asked_at", "kept"), [(99.0, False), (100.0, False), (100.1, True)])
def test_what_was_asked_for_before_a_clear_does_not_come_back(
    clock: Clock, asked_at: float, kept: bool
) -> None:
    memory = tier(clock)
    memory.clear()
    clock.now += 1
    memory.put("a", TAGS, "text", read_at=asked_at)
    assert bool(held(memory, "a")) == kept


@pytest.mark.parametrize(("asked_at", "kept"), [(99.0, False), (100.0, False), (100.1, True)])
def test_what_was_asked_for_before_another_took_its_place_does_not_come_back(
    clock: Clock, asked_at: float, kept: bool
) -> None:
    memory = tier(clock)
    memory.discard("a")
    clock.now += 1
    memory.put("a", TAGS, "text", read_at=asked_at)
    assert bool(held(memory, "a")) == kept


@pytest.mark.parametrize("name", ["seconds", "max_entries", "max_bytes"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), True, "10", None])
def test_a_bound_that_is_not_positive_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(InvalidSettings) as refused:
        MemoryTier(**{"seconds": 10, name: value})
    assert str(refused.value) == f"memory {name}={value!r} is not accepted: more than 0"


def test_threads_keep_the_count_of_bytes(clock: Clock) -> None:
    memory = tier(clock, max_bytes=50)

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
