import pytest

from llm_cache._inspect import totals
from llm_cache._inspect.entry_heads import Found, Head
from llm_cache._inspect.entry_pages import Listed, State
from llm_cache._inspect.totals import LARGEST, OTHERS, TTL_BOUNDS, Ages, Share, Totals, total

NOW = 10_000_000.0


def listed(
    size: int = 100,
    *,
    namespace: str = "ns",
    age: float = 10,
    left: float = 100,
    state: State = State.LIVE,
) -> Listed:
    head = Head({"": "e1"}, NOW - age, int(age + left), "json", None, "answer")
    found = Found(f"{namespace}:entry:{size}", size, left, head)
    return Listed(namespace, found, state, NOW)


def totals_of(*entries: Listed) -> Totals:
    found = Totals()
    found.add(entries)
    return found


def test_entries_and_bytes_are_counted_by_state_and_by_namespace() -> None:
    found = totals_of(listed(), listed(50, state=State.CLEARED), listed(7, namespace="other"))
    assert found.sum == Share(3, 157)
    assert found.states == {State.LIVE: Share(2, 107), State.CLEARED: Share(1, 50)}
    assert [(name, total(states)) for name, states in found.by_size()] == [
        ("ns", Share(2, 150)),
        ("other", Share(1, 7)),
    ]


def test_unreadable_entry_counts_and_has_no_age() -> None:
    entry = listed(state=State.UNREADABLE)
    found = totals_of(entry._replace(found=entry.found._replace(head=None)))
    assert (found.sum, found.ages.median, found.left.total()) == (Share(1, 100), None, 0)


def test_time_left_of_live_entries_is_counted_in_ranges() -> None:
    found = totals_of(
        *(listed(left=left) for left in (1, 59, 60, 10**7)), listed(state=State.CLEARED)
    )
    assert [found.left[bound] for bound in TTL_BOUNDS] == [2, 1, 0, 0, 0, 1]


def test_largest_entries_are_kept() -> None:
    found = totals_of(*map(listed, range(1000)))
    assert [entry.found.bytes for entry in found.largest] == list(range(999, 999 - LARGEST, -1))


def test_merged_parts_equal_the_whole() -> None:
    entries = [
        listed(size, age=size, left=3 * size, namespace=f"ns{size % 3}") for size in range(99)
    ]
    parts = totals_of(*entries[:20])
    parts.merge(totals_of(*entries[20:]))
    assert parts == totals_of(*entries)


def test_smallest_of_many_namespaces_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(totals, "MAX_NAMESPACES", 3)
    found = Totals()
    for size in range(1, 11):
        found.merge(totals_of(listed(size, namespace=f"ns{size}")))
    assert sorted(found.namespaces) == [OTHERS, "ns10", "ns9"]
    assert total(found.namespaces[OTHERS]) == Share(8, 36)
    assert found.sum == Share(10, 55)


@pytest.mark.parametrize("ages", [[0], [5], [1, 2, 100], [10, 1000, 100_000], [7] * 9 + [8]])
def test_median_age_is_right_to_within_five_percent(ages: list[float]) -> None:
    found = Ages()
    for age in ages:
        found.add(age)
    median = sorted(ages)[(len(ages) - 1) // 2]
    assert found.median == pytest.approx(median, rel=0.05, abs=0.05)
    assert (found.youngest, found.oldest) == (min(ages), max(ages))


def test_memory_does_not_grow_with_the_number_of_entries() -> None:
    found = Totals()
    for start in range(0, 20_000, 1000):
        found.merge(totals_of(*(listed(start + n, age=start + n) for n in range(1000))))
    assert len(found.largest) == LARGEST
    assert len(found.ages.buckets) < 250
