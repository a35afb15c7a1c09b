from collections.abc import Callable, Sequence
from typing import Any

import pytest
from tests.unit.protocol.operations import ENTRY_KEY, EPOCH_KEY, HASHED, NOW, RED, drive, entry

from llm_cache._errors import StoreRefused, StoreTimeout
from llm_cache._inspect.entry_heads import HEAD_BYTES, HEADS
from llm_cache._inspect.entry_pages import (
    Listed,
    Read,
    Selection,
    State,
    read_page,
    read_pages,
    read_small_page,
)
from llm_cache._protocol.clearing import PAGE, RETRY_PAUSE, TRIES
from llm_cache._protocol.effects import Pause

MINE = Selection("ns")
SCAN = ("SCAN", "0", "MATCH", "ns:entry:*", "COUNT", PAGE)
SECOND = f"ns:entry:{'b' * 64}"
LATE = StoreTimeout("late")


def eval_heads(*keys: str) -> tuple[Any, ...]:
    return ("EVAL", HEADS, len(keys), *keys, HEAD_BYTES - 1)


def row(text: str) -> str:
    return f"{len(text)} 60000 {text}"


def pages(selection: Selection = MINE, *replies: Any, cursor: str = "0") -> tuple[list[Any], Any]:
    return drive(read_page(selection, cursor, NOW), *replies)


def states(*replies: Any) -> list[State]:
    return [listed.state for listed in pages(MINE, *replies)[1].entries]


def test_page_takes_three_commands_and_no_answer() -> None:
    steps, page = pages(MINE, ["7", [ENTRY_KEY, "ns:entry:x", "ns:epoch"]], [row(entry())], ["e1"])
    assert steps == [SCAN, eval_heads(ENTRY_KEY), ("MGET", EPOCH_KEY)]
    (listed,) = page.entries
    assert (page.cursor, listed.namespace, listed.state) == ("7", "ns", State.LIVE)
    assert (listed.age, listed.remaining) == (5, 55)


def test_page_without_an_entry_takes_one_command() -> None:
    assert pages(MINE, ["7", ["ns:entry:x"]]) == ([SCAN], ("7", ()))


@pytest.mark.parametrize(
    ("text", "epochs", "state"),
    [
        (entry(), ["e1"], State.LIVE),
        (entry(), ["e2"], State.CLEARED),
        (entry(), [None], State.CLEARED),
        (entry(age=61), ["e1"], State.EXPIRED),
        (entry(age=61), ["e2"], State.CLEARED),
    ],
)
def test_state_of_an_entry_is_what_a_lookup_would_find(
    text: str, epochs: list[str | None], state: State
) -> None:
    assert states(["0", [ENTRY_KEY]], [row(text)], epochs) == [state]


def test_epoch_of_a_tag_is_read_once_a_page() -> None:
    texts = [row(entry(red="r1")), row(entry(red="r2"))]
    steps, _ = pages(MINE, ["0", [ENTRY_KEY, SECOND]], texts, ["e1", "e1"])
    assert sorted(steps[-1]) == ["MGET", EPOCH_KEY, f"ns:epoch:{RED}"]


def test_unreadable_entry_is_listed_without_another_command() -> None:
    steps, page = pages(MINE, ["0", [ENTRY_KEY]], ["7 -1 "])
    assert steps == [SCAN, eval_heads(ENTRY_KEY)]
    (listed,) = page.entries
    assert (listed.state, listed.age, listed.remaining) == (State.UNREADABLE, None, None)


def test_selection_by_tag_or_state_leaves_other_entries_out() -> None:
    replies = ["0", [ENTRY_KEY, SECOND]], [row(entry(red="r1")), row(entry())]
    _, page = pages(Selection("ns", RED), *replies, sorted(["e1", "r1"]))
    assert [listed.found.key for listed in page.entries] == [ENTRY_KEY]
    _, page = pages(Selection("ns", state=State.CLEARED), ["0", [ENTRY_KEY]], [row(entry())], ["x"])
    assert len(page.entries) == 1
    _, page = pages(
        Selection("ns", state=State.CLEARED), ["0", [ENTRY_KEY]], [row(entry())], ["e1"]
    )
    assert page.entries == []


@pytest.mark.parametrize(
    ("key", "owner"),
    [
        (f"a:entry:{HASHED}", "a"),
        (f"a:entry:entry:{HASHED}", "a:entry"),
        (f":entry:{HASHED}", None),
        (f"a\n:entry:{HASHED}", None),
        (f"a:lease:{HASHED}", None),
        ("a:entry:short", None),
    ],
)
def test_selection_of_every_namespace_reads_the_name_from_the_key(
    key: str, owner: str | None
) -> None:
    everything = Selection(None)
    assert everything.namespace_of(key) == owner
    assert everything.pattern == "*:entry:*"


def visited(
    *replies: Any, proceed: Callable[[], bool] = lambda: True
) -> tuple[list[Any], Read, list[Sequence[Listed]]]:
    found: list[Sequence[Listed]] = []
    work = read_pages(MINE, "0", clock=lambda: NOW, visit=found.append, proceed=proceed)
    steps, read = drive(work, *replies)
    return steps, read, found


def test_pages_are_read_until_the_cursor_is_zero_again() -> None:
    steps, read, found = visited(["7", []], ["0", []])
    assert [step[1] for step in steps] == ["0", "7"]
    assert (read, read.complete, len(found)) == (Read("0"), True, 2)


def test_pages_stop_when_the_time_is_up() -> None:
    _, read, _ = visited(["7", []], proceed=lambda: False)
    assert (read, read.complete) == (Read("7"), False)


def test_failed_page_is_tried_again_and_its_failure_returned() -> None:
    steps, read, found = visited(LATE, None, LATE, None, LATE)
    assert steps == [SCAN, Pause(RETRY_PAUSE)] * (TRIES - 1) + [SCAN]
    assert (read, found) == (Read("0", LATE), [])
    assert not read.complete


def test_refused_page_is_tried_once() -> None:
    refused = StoreRefused("NOPERM")
    assert visited(refused)[1] == Read("0", refused)


def small(most: int, *replies: Any) -> tuple[list[int], int]:
    steps, page = drive(read_small_page(MINE, "0", most, lambda: NOW), *replies)
    return [step[-1] for step in steps if step[0] == "SCAN"], len(page.entries)


def test_page_with_too_many_entries_is_read_again_with_a_smaller_count() -> None:
    two = (["0", [ENTRY_KEY, SECOND]], [row(entry()), row(entry())], ["e1"])
    one = (["7", [ENTRY_KEY]], [row(entry())], ["e1"])
    assert small(2, *two) == ([2], 2)
    assert small(1, *two) == ([1], 2)  # no page is smaller
    three = (["0", [ENTRY_KEY, SECOND, f"ns:entry:{'c' * 64}"]], [row(entry())] * 3, ["e1"])
    assert small(2, *three, *one) == ([2, 1], 1)
