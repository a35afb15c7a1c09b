from typing import Any

import pytest
from tests.unit.protocol.operations import (
    ENTRY_KEY,
    EPOCH_KEY,
    HASHED,
    KEYS,
    LEASE_KEY,
    NOW,
    RED,
    drive,
    entry,
)

from llm_cache import UnreadableEntry
from llm_cache._entries.keys import cleared_epoch, tag_hash
from llm_cache._inspect.entry_pages import State
from llm_cache._inspect.one_entry import (
    Clear,
    KeyState,
    Lease,
    fault_of,
    look_up,
    read_key,
    request_of,
)
from llm_cache._protocol.lookup import Hit, Miss
from llm_cache._reasons import Reason

READ, PTTL = ("MGET", EPOCH_KEY, ENTRY_KEY, LEASE_KEY), ("PTTL", ENTRY_KEY)
ANSWER = entry(codec="json").replace('["hi"]', '[{"answer":"hi"}]')


def read(*replies: Any) -> tuple[list[Any], KeyState]:
    return drive(read_key(KEYS, HASHED, NOW), *replies)


def judged(found: KeyState, *replies: Any, tag: str | None = None) -> tuple[list[Any], Any]:
    return drive(look_up(request_of(KEYS, found, protection=None, tag=tag), found), *replies)


def test_key_is_read_by_commands_that_change_nothing() -> None:
    steps, found = read(["e1", entry(red="r1"), "tok:"], 2500, ["r1"], 9000)
    assert steps == [READ, PTTL, ("MGET", f"ns:epoch:{RED}"), ("PTTL", LEASE_KEY)]
    assert (found.state, found.expires_in, found.clears) == (State.LIVE, 2.5, [])
    assert found.lease == Lease(computing=True, expires_in=9)


def test_key_without_an_entry_has_no_state() -> None:
    steps, found = read([cleared_epoch(990, "x"), None, None], -2)
    assert steps == [READ, PTTL]
    assert (found.state, found.head, found.lease, found.expires_in) == (None, None, None, None)
    assert found.namespace_cleared_at == 990


def test_lease_without_a_leader_is_told_apart() -> None:
    assert read([None, None, "-:"], -2, 500)[1].lease == Lease(computing=False, expires_in=0.5)


def test_each_clear_is_named_by_its_place_among_the_tags() -> None:
    cleared = cleared_epoch(990, "x")
    first, second = sorted(("red", "blue"), key=tag_hash)
    tagged = entry("e1", age=5, **{first: "x1", second: "x2"})
    _, found = read([cleared, tagged, None], 9, [cleared, "x2"])
    assert found.state is State.CLEARED
    assert [(clear.place, clear.tags, clear.at) for clear in found.clears] == [
        (0, 2, 990),
        (1, 2, 990),
    ]


def test_evicted_epoch_is_a_clear_without_a_time() -> None:
    assert read([None, entry(), None], 9)[1].clears == [Clear("", 0, 0, None)]


def test_entry_is_judged_as_by_a_lookup() -> None:
    _, found = read(["e1", ANSWER, None], 9)
    steps, hit = judged(found, ["e1"])
    assert steps == [("MGET", EPOCH_KEY)]
    assert isinstance(hit, Hit)
    miss = judged(found, ["e1", "r1"], tag="red")[1]
    assert isinstance(miss, Miss)
    assert miss.reason is Reason.NOT_TAGGED


def test_unreadable_entry_is_judged_and_never_deleted() -> None:
    _, found = read(["e1", "rubbish", None], 9)
    steps, miss = judged(found, ["e1"])
    assert steps == [("MGET", EPOCH_KEY)]
    assert miss.reason is Reason.UNREADABLE
    assert str(fault_of(request_of(KEYS, found, protection=None), "rubbish")) == "not JSON"


def test_readable_entry_has_no_fault() -> None:
    _, found = read(["e1", ANSWER, None], 9)
    assert fault_of(request_of(KEYS, found, protection=None), ANSWER) is None


def test_entry_of_an_unknown_codec_is_unreadable() -> None:
    _, found = read(["e1", entry(codec="pickle"), None], 9)
    with pytest.raises(UnreadableEntry, match="codec"):
        request_of(KEYS, found, protection=None)


def test_state_of_a_key_shows_no_part_of_the_entry() -> None:
    assert repr(read(["e1", entry(), None], 9)[1]) == f"KeyState(key={ENTRY_KEY!r})"
