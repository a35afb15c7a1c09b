import re
from typing import Any
from unittest.mock import ANY

import pytest
from tests.unit.protocol.operations import (
    ENTRY_KEY,
    EPOCH_KEY,
    HASHED,
    KEYS,
    NOW,
    RED,
    drive,
    entry,
    hit,
    miss,
    request,
)

from llm_cache import StoreError, UnreadableEntry
from llm_cache._entries.envelope import fingerprint
from llm_cache._entries.keys import cleared_epoch, tag_hash
from llm_cache._errors import StoreGarbled, StoreUnavailable
from llm_cache._protocol.lookup import ANY_ENTRY, Hit, Miss, judge, lookup
from llm_cache._reasons import Reason

MGET = ("MGET", EPOCH_KEY, ENTRY_KEY)
TAGGED = {"tags": ["red"]}
STALE = {"stale_if_error": 10}
AGES = {
    "live": ({}, 5, hit(5)),
    "expired": ({}, 60, Reason.EXPIRED),
    "expired within max_stale": ({"max_stale": 5}, 65, hit(65)),
    "max_age old": ({"max_age": 5}, 5, hit(5)),
    "older than max_age": ({"max_age": 4}, 5, Reason.TOO_OLD),
    "too old, about to expire": ({"max_age": 4}, 59.5, Reason.TOO_OLD),
    "too old and expired": ({"max_age": 4}, 60, Reason.EXPIRED),
}
MISSES = {
    "no entry": ({}, ["e1", None], Reason.UNKNOWN),
    "other epoch": ({}, ["e2", entry()], Reason.CLEARED),
    "no epoch": ({}, [None, entry()], Reason.CLEARED),
    "other epoch and expired": (STALE, ["e2", entry(age=61)], Reason.CLEARED),
    "other epoch of a tag": (TAGGED, ["e1", "r2", entry(red="r1")], Reason.CLEARED),
    "under another tag": (TAGGED, ["e1", "r1", entry(blue="b1")], Reason.NOT_TAGGED),
}
UNREADABLE = ["rubbish", entry(answer="bye"), entry(asked="b" * 64), entry(codec="another")]


def looked_up(*replies: Any, **policy: Any) -> Any:
    """Return the result of a lookup."""
    return drive(lookup(request(**policy)), *replies)[1]


@pytest.mark.parametrize(("policy", "age", "expected"), AGES.values(), ids=AGES)
def test_age_of_an_entry_decides_between_hit_and_miss(
    policy: dict[str, Any], age: float, expected: Hit[str] | Reason
) -> None:
    for epoch in ("e1", "not compared by judge"):
        text = entry(epoch, age=age)
        judged = miss(expected, "e1", entry=text) if isinstance(expected, Reason) else expected
        assert judge(request(**policy), ("e1",), text) == judged
        assert epoch != "e1" or drive(lookup(request(**policy)), ["e1", text]) == ([MGET], judged)


@pytest.mark.parametrize(("policy", "reply", "reason"), MISSES.values(), ids=MISSES)
def test_miss_is_one_command_and_keeps_the_epochs_and_the_fingerprint(
    policy: dict[str, Any], reply: list[str | None], reason: Reason
) -> None:
    steps, found = drive(lookup(request(**policy)), reply)
    assert len(steps) == 1
    assert found == Miss(reason, tuple(reply[:-1]), None, fingerprint(reply[-1]), ANY)


@pytest.mark.parametrize(("age", "stale"), [(60, hit(60)), (70, hit(70)), (71, None)])
def test_expired_answer_is_stale_within_stale_if_error(age: int, stale: Hit[str] | None) -> None:
    text = entry(age=age)
    expected = miss(Reason.EXPIRED, "e1", entry=text, stale=stale)
    assert looked_up(["e1", text], **STALE) == expected


def test_hit_and_stale_answer_hold_their_entry_and_do_not_show_it() -> None:
    fresh, late = entry(), entry(age=61)
    found, expired = looked_up(["e1", fresh]), looked_up(["e1", late], **STALE)
    assert (found.text, expired.stale.text) == (fresh, late)
    assert not re.search("hi|created", f"{found!r} {expired!r}")


def test_entry_that_names_its_request_is_a_hit() -> None:
    assert judge(request(), ("e1",), entry(asked=HASHED)) == hit(5)


@pytest.mark.parametrize("text", UNREADABLE)
@pytest.mark.parametrize("reply", [1, StoreUnavailable("down")])
def test_unreadable_entry_is_a_miss_and_is_deleted(text: str, reply: object) -> None:
    expected = [MGET, ("UNLINK", ENTRY_KEY)], miss(Reason.UNREADABLE, "e1", entry=text)
    assert drive(lookup(request()), ["e1", text], reply) == expected
    with pytest.raises(UnreadableEntry):
        judge(request(), ("e1",), text)


def test_read_only_lookup_deletes_no_unreadable_entry() -> None:
    assert drive(lookup(request(mode="read_only")), ["e1", "rubbish"])[0] == [MGET]


def test_refresh_reads_the_epoch_alone_and_replaces_any_entry() -> None:
    expected = Miss[str](Reason.NOT_READ, ("e1",), fingerprint=ANY_ENTRY)
    assert drive(lookup(request(mode="refresh")), ["e1"]) == ([("MGET", EPOCH_KEY)], expected)


def test_reasons_keep_their_names() -> None:
    hits = "collapsed memory"
    misses = "unknown cleared not_tagged too_old expired unreadable forged not_read"
    verdicts = "truncated withheld failed empty invalid_tool_call stale"
    keys = "ambiguous_schema masked_setting"
    stores = "mode ttl not_restorable too_large lookup_failed cleared_meanwhile superseded"
    failures = "timeout unavailable circuit_open refused garbled invalid internal"
    assert [*Reason] == f"{hits} {misses} {verdicts} {keys} {stores} {failures}".split()


@pytest.mark.parametrize("error", [StoreUnavailable("down"), StoreGarbled("?")])
def test_failed_command_ends_the_lookup(error: StoreError) -> None:
    with pytest.raises(type(error)):
        looked_up(error)


def test_epochs_of_tags_are_read_in_the_same_command() -> None:
    tags = sorted(["red", "blue"], key=tag_hash)
    reply = ["e1", *tags, entry(red="red", blue="blue")]
    keys = KEYS.epochs([tag_hash(tag) for tag in tags])
    expected = [("MGET", *keys, ENTRY_KEY)], hit(5)
    assert drive(lookup(request(tags=["red", "blue"])), reply) == expected


@pytest.mark.parametrize(("epoch", "live"), [("r1", True), ("r2", False), (None, False)])
def test_epoch_of_a_tag_that_the_policy_does_not_name_is_read_too(
    epoch: str | None, live: bool
) -> None:
    steps, found = drive(lookup(request()), ["e1", entry(red="r1")], [epoch])
    assert steps == [MGET, ("MGET", f"ns:epoch:{RED}")]
    assert isinstance(found, Hit) == live


CLEARED = cleared_epoch(NOW - 200, "t")


@pytest.mark.parametrize(
    ("policy", "reply", "detail"),
    [
        ({}, [CLEARED, entry()], "by its namespace 200 s ago"),
        ({}, [None, entry()], "by its namespace"),
        (TAGGED, ["e1", CLEARED, entry(red="r1")], "by a tag or its tenant 200 s ago"),
        ({}, [cleared_epoch(NOW + 9, "t"), entry()], "by its namespace 0 s ago"),
    ],
)
def test_detail_of_a_cleared_miss_names_the_clear_and_its_time(
    policy: Any, reply: list[str | None], detail: str
) -> None:
    assert looked_up(reply, **policy).detail == detail
