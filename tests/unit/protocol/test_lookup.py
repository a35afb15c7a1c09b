"""Every rule of the operations, driven by hand: no server, no clock."""

from typing import Any
from unittest.mock import ANY

import pytest

from llm_cache import CachePolicy, InvalidPolicy, UnreadableEntry
from llm_cache._entries.envelope import HEAD, Entry, before_tag, body, head
from llm_cache._entries.keys import Keyspace, cleared_at, cleared_epoch, tag_hash
from llm_cache._errors import StoreGarbled, StoreRefused, StoreTimeout, StoreUnavailable
from llm_cache._protocol.clearing import (
    CLEAR,
    FLUSH,
    RETRY_PAUSE,
    TRIES,
    clear,
    delete,
    flush_database,
    preview,
    reclaim,
)
from llm_cache._protocol.effects import Operation, Pause
from llm_cache._protocol.lookup import ANY_ENTRY, Epochs, Hit, Miss, judge, lookup
from llm_cache._protocol.request import Request
from llm_cache._protocol.store import Unseen, store
from llm_cache._reasons import Reason

KEYS = Keyspace("ns")
HASH = "a" * 64
NOW = 1000.0


RED, BLUE = tag_hash("red"), tag_hash("blue")


def entry(epoch: str = "e1", created: float = NOW - 5, ttl: int = 60, **tags: str) -> str:
    tagged = "".join(before_tag(tag_hash(tag)) + epoch for tag, epoch in tags.items())
    return HEAD + epoch + tagged + body(head(created, ttl, "langchain"), ['"hi"'])


def drive(operation: Operation[Any], *replies: Any) -> tuple[list[Any], Any]:
    """Feed ``replies`` in turn; return the commands asked for, and the result."""
    commands, given = [], iter(replies)
    try:
        commands.append(next(operation))
        while True:
            reply = next(given)
            if isinstance(reply, Exception):
                commands.append(operation.throw(reply))
            else:
                commands.append(operation.send(reply))
    except StopIteration as done:
        return commands, done.value


def hit(answer: str, age: float, remaining: float) -> Hit[str]:
    """Return a hit that equals one of any text."""
    return Hit(answer, age, remaining, ANY)


def missed(why: Reason, epochs: Epochs, stale: Hit[str] | None = None) -> Miss[str]:
    """Return a miss that equals one of any fingerprint and any detail."""
    return Miss(why, epochs, stale, ANY, ANY)


def wanted(policy: CachePolicy | None = None) -> Request[str]:
    def read(found: Entry) -> str:
        if found.answer != ("hi",):
            raise UnreadableEntry("not hi")
        return "hi"

    return Request(KEYS, HASH, policy or CachePolicy(), lambda: NOW, read, "langchain")


def looking(policy: CachePolicy | None = None) -> Operation[Any]:
    return lookup(wanted(policy))


MGET = ("MGET", "ns:epoch", f"ns:entry:{HASH}")


def test_a_hit_is_one_command_that_reads_epoch_and_entry_together() -> None:
    assert drive(looking(), ["e1", entry()]) == ([MGET], hit("hi", 5.0, 55.0))


def test_a_miss_is_one_command_and_keeps_the_epoch_it_saw() -> None:
    assert drive(looking(), ["e1", None]) == ([MGET], missed(Reason.UNKNOWN, ("e1",)))


@pytest.mark.parametrize("epoch", ["e2", None])
def test_an_entry_of_another_epoch_is_a_miss(epoch: str | None) -> None:
    assert drive(looking(), [epoch, entry("e1")]) == ([MGET], missed(Reason.CLEARED, (epoch,)))


def test_an_entry_past_its_time_is_a_miss_even_if_redis_still_has_it() -> None:
    late = entry(created=NOW - 60, ttl=60)
    assert drive(looking(), ["e1", late])[1] == missed(Reason.EXPIRED, ("e1",))


@pytest.mark.parametrize(("late", "spare"), [(60, True), (70, True), (71, False)])
def test_an_expired_answer_is_kept_to_spare_within_stale_if_error(late: int, spare: bool) -> None:
    text = entry(created=NOW - late, ttl=60)
    _, result = drive(looking(CachePolicy(stale_if_error=10)), ["e1", text])
    stale = hit("hi", float(late), 60.0 - late) if spare else None
    assert result == missed(Reason.EXPIRED, ("e1",), stale)


def test_a_cleared_answer_is_never_to_spare() -> None:
    _, result = drive(looking(CachePolicy(stale_if_error=10)), ["e2", entry(created=NOW - 61)])
    assert result == missed(Reason.CLEARED, ("e2",))


def test_a_reader_may_accept_what_has_expired() -> None:
    late = entry(created=NOW - 65, ttl=60)
    assert drive(looking(CachePolicy(max_stale=5)), ["e1", late])[1] == hit("hi", 65.0, -5.0)


def test_an_answer_older_than_the_policy_accepts_is_a_miss() -> None:
    assert drive(looking(CachePolicy(max_age=4)), ["e1", entry()])[1] == missed(
        Reason.TOO_OLD, ("e1",)
    )
    assert isinstance(drive(looking(CachePolicy(max_age=5)), ["e1", entry()])[1], Hit)


def test_an_answer_with_a_moment_left_is_not_expired() -> None:
    text = entry(created=NOW - 59.5, ttl=60)
    assert drive(looking(CachePolicy(max_age=4)), ["e1", text])[1].why is Reason.TOO_OLD


def test_an_answer_comes_with_its_entry_which_it_does_not_show() -> None:
    _, found = drive(looking(), ["e1", entry()])
    late = entry(created=NOW - 61)
    _, expired = drive(looking(CachePolicy(stale_if_error=10)), ["e1", late])
    assert (found.text, expired.stale.text) == (entry(), late)
    for shown in (repr(found), repr(expired)):
        assert "hi" not in shown
        assert "created" not in shown


@pytest.mark.parametrize(
    ("created", "judged"),
    [
        (NOW - 5, hit("hi", 5.0, 55.0)),
        (NOW - 7, missed(Reason.TOO_OLD, ("e1",))),
        (NOW - 60, missed(Reason.EXPIRED, ("e1",))),
    ],
)
def test_an_entry_that_no_clear_has_reached_is_judged_by_age(created: float, judged: Any) -> None:
    text = entry("e0", created=created)
    found = judge(wanted(CachePolicy(max_age=5)), ("e1",), text)
    assert found == judged
    assert isinstance(found, Miss) or found.text == text


UNREADABLE = [
    "rubbish",
    HEAD + "e1" + body(head(NOW, 60, "langchain"), ['"bye"']),
    HEAD + "e1" + body(head(NOW, 60, "langchain"), ['"hi"'], "b" * 64),  # another question's
]


def test_an_entry_that_tells_its_question_is_found_by_it() -> None:
    asked = HEAD + "e1" + body(head(NOW, 60, "langchain"), ['"hi"'], HASH)
    assert isinstance(judge(wanted(), ("e1",), asked), Hit)


@pytest.mark.parametrize("text", UNREADABLE)
def test_an_unreadable_entry_is_not_judged(text: str) -> None:
    with pytest.raises(UnreadableEntry):
        judge(wanted(), ("e1",), text)


@pytest.mark.parametrize("text", UNREADABLE)
def test_an_unreadable_entry_is_a_miss_and_is_deleted(text: str) -> None:
    commands, result = drive(looking(), ["e1", text], 1)
    assert commands == [MGET, ("UNLINK", f"ns:entry:{HASH}")]
    assert result == missed(Reason.UNREADABLE, ("e1",))


def test_a_read_only_lookup_deletes_nothing() -> None:
    commands, _ = drive(looking(CachePolicy(mode="read_only")), ["e1", "rubbish"])
    assert commands == [MGET]


def test_a_refresh_reads_the_epoch_alone() -> None:
    result = drive(looking(CachePolicy(mode="refresh")), ["e1"])
    assert result == ([("MGET", "ns:epoch")], missed(Reason.NOT_READ, ("e1",)))


def test_the_names_of_reasons_stay_as_they_are() -> None:
    hits = "collapsed memory"
    misses = "unknown cleared not_tagged too_old expired unreadable forged not_read"
    verdicts = "truncated withheld failed empty invalid_tool_call stale"
    keys = "ambiguous_schema masked_setting"
    stores = "mode ttl not_restorable too_large lookup_failed cleared_meanwhile superseded"
    failures = "timeout unavailable circuit_open refused garbled invalid internal"
    assert [*Reason] == f"{hits} {misses} {verdicts} {keys} {stores} {failures}".split()


def test_a_failed_command_ends_the_lookup() -> None:
    with pytest.raises(StoreUnavailable):
        drive(looking(), StoreUnavailable("down"))


def tagged(*tags: str) -> Operation[Any]:
    return looking(CachePolicy(tags=tags))


def by_hash(**epochs: str | None) -> tuple[str | None, ...]:
    """Return the epochs of tags in the order in which an operation asks for them."""
    return tuple(epochs[tag] for tag in sorted(epochs, key=tag_hash))


def test_a_hit_under_its_tags_is_one_command() -> None:
    replies = ["e1", *by_hash(red="r1", blue="b1"), entry(red="r1", blue="b1")]
    (command,), result = drive(tagged("red", "blue"), replies)
    hashes = sorted((RED, BLUE))
    assert command == ("MGET", "ns:epoch", *(f"ns:epoch:{tag}" for tag in hashes), MGET[-1])
    assert isinstance(result, Hit)


def test_an_entry_whose_tag_was_cleared_is_a_miss() -> None:
    _, result = drive(tagged("red"), ["e1", "r2", entry(red="r1")])
    assert result == missed(Reason.CLEARED, ("e1", "r2"))


@pytest.mark.parametrize(("epoch", "hit"), [("r1", True), ("r2", False), (None, False)])
def test_a_tag_that_the_lookup_did_not_name_is_asked_for(epoch: str | None, hit: bool) -> None:
    commands, result = drive(looking(), ["e1", entry(red="r1")], [epoch])
    assert commands == [MGET, ("MGET", f"ns:epoch:{RED}")]
    assert isinstance(result, Hit) == hit


def test_an_entry_without_a_tag_of_the_lookup_is_a_miss() -> None:
    commands, result = drive(tagged("red"), ["e1", "r1", entry(blue="b1")])
    assert (len(commands), result) == (1, missed(Reason.NOT_TAGGED, ("e1", "r1")))


@pytest.mark.parametrize(
    ("policy", "replies"),
    [
        (CachePolicy(tags=["red"]), [["e1", entry()]]),
        (CachePolicy(), [["e1", "r1", entry(red="r1")]]),
        (CachePolicy(), [["e1", entry(red="r1")], []]),
    ],
)
def test_a_reply_of_another_length_is_never_a_hit(policy: CachePolicy, replies: list[Any]) -> None:
    with pytest.raises(StoreGarbled):
        drive(looking(policy), *replies)


def storing(
    epochs: Epochs | Unseen, *tags: str, lease: str | None = None, there: str = ANY_ENTRY
) -> Operation[Reason | None]:
    fields: Any = {"tags": tags, "epochs": epochs, "token": "new", "lease": lease, "there": there}
    return store(KEYS, HASH, body='"},"rest"', ttl=60, **fields)


@pytest.mark.parametrize(
    ("epochs", "told"),
    [(("e1",), ["=e1", ""]), ((None,), ["-", ""]), (Unseen.NOT_LOOKED_UP, ["?", ""])],
)
@pytest.mark.parametrize("there", ["", "7:an entry", ANY_ENTRY])
def test_a_store_is_one_script_that_carries_its_own_expiry(
    epochs: Epochs | Unseen, told: list[str], there: str
) -> None:
    (command,), _ = drive(storing(epochs, there=there), 1)
    assert command[0] == "EVAL"
    assert command[2:6] == (3, f"ns:entry:{HASH}", f"ns:lease:{HASH}", "ns:epoch")
    assert command[6:] == ("fnew", 60, HEAD, '"},"rest"', "", there, *told)


@pytest.mark.parametrize(
    ("reply", "why"), [(0, Reason.CLEARED_MEANWHILE), (1, None), (2, Reason.SUPERSEDED)]
)
def test_the_script_says_why_an_answer_was_not_stored(reply: int, why: Reason | None) -> None:
    assert drive(storing(("e1",)), reply)[1] is why


@pytest.mark.parametrize(
    ("epochs", "seen"),
    [
        (("e1", None), ("=e1", "-")),
        ((None, "r1"), ("-", "=r1")),
        (Unseen.NOT_LOOKED_UP, ("?", "?")),
    ],
)
def test_a_store_tells_the_script_which_epochs_it_saw(
    epochs: Epochs | Unseen, seen: tuple[str, str]
) -> None:
    (command,), _ = drive(storing(epochs, RED), 1)
    assert command[2:7] == (4, MGET[-1], f"ns:lease:{HASH}", "ns:epoch", f"ns:epoch:{RED}")
    assert command[-4:] == (seen[0], "", seen[1], f'","{RED}":"')


def test_an_answer_computed_under_a_lease_is_stored_by_the_script_that_gives_it_back() -> None:
    (command,), stored = drive(storing(("e1",), lease="mine"), 1)
    assert command[0] == "EVAL"
    assert command[-4:] == ("mine", ANY_ENTRY, "=e1", "")
    assert stored is None


@pytest.mark.parametrize("lease", [None, "mine"])
def test_nothing_is_stored_after_a_lookup_that_failed(lease: str | None) -> None:
    assert drive(storing(Unseen.LOOKUP_FAILED, lease=lease)) == ([], Reason.LOOKUP_FAILED)


@pytest.mark.parametrize("epochs", [(), ("e1",), ("e1", None, "r1")])
def test_epochs_that_are_not_those_of_the_tags_are_not_stored(epochs: Epochs) -> None:
    with pytest.raises(ValueError, match="zip"):
        drive(storing(epochs, RED))


@pytest.mark.parametrize(
    "value",
    [
        KEYS,
        wanted(),
        Entry({"": "e"}, 1.0, 60, ("hi",), "langchain"),
        Pause(1),
        Hit("hi", 5, 55),
        Miss(Reason.UNKNOWN, ()),
    ],
)
def test_what_an_operation_is_given_and_gives_stays_as_it_is(value: Any) -> None:
    with pytest.raises(AttributeError):
        setattr(value, value._fields[0], None)


@pytest.mark.parametrize(
    ("named", "key"),
    [
        ({}, "ns:epoch"),
        ({"tag": "red"}, f"ns:epoch:{RED}"),
        ({"tenant": "red"}, f"ns:epoch:{KEYS.tenant('red')}"),
    ],
)
def test_a_clear_is_one_command_that_sets_an_epoch_with_its_time(
    named: dict[str, Any], key: str
) -> None:
    commands, _ = drive(clear(KEYS, token="e9", now=12.5, **named), 1)
    assert commands == [("EVAL", CLEAR, 1, key, "c12.500-e9")]


def test_a_tag_and_a_tenant_of_one_name_have_epochs_of_their_own() -> None:
    assert KEYS.tenant("red") != KEYS.tag("red")


@pytest.mark.parametrize("field", ["tag", "tenant"])
@pytest.mark.parametrize("name", ["", "x" * 1001, 7, ["red"]])
def test_a_name_that_no_answer_can_have_is_refused(field: str, name: Any) -> None:
    with pytest.raises(InvalidPolicy, match=f"{field}="):
        drive(clear(KEYS, token="e9", now=1.0, **{field: name}))
    with pytest.raises(InvalidPolicy, match=f"{field}="):
        drive(preview(KEYS, **{field: name}))


def test_a_clear_of_a_tag_and_a_tenant_together_is_refused() -> None:
    with pytest.raises(InvalidPolicy, match="clear one of them"):
        drive(clear(KEYS, token="e9", now=1.0, tag="a", tenant="b"))


def test_the_time_of_a_clear_is_read_from_its_epoch_and_from_no_other() -> None:
    assert cleared_at(cleared_epoch(12.3456, "e9")) == 12.346
    others = (None, "", "fe9", "ce9", "c-", "x12.5-e9")
    assert [cleared_at(epoch) for epoch in others] == [None] * 6


def test_a_cleared_miss_says_by_what_and_when() -> None:
    epoch = cleared_epoch(NOW - 200, "t")
    assert drive(looking(), [epoch, entry("e1")])[1].detail == "by its namespace 200 s ago"
    text = entry("e1", red="r1")
    (_, result) = drive(tagged("red"), ["e1", epoch, text])
    assert result.detail == "by a tag or its tenant 200 s ago"
    assert drive(looking(), [None, entry("e1")])[1].detail == "by its namespace"


@pytest.mark.parametrize("reply", [0, 1])
def test_a_deletion_says_whether_there_was_anything(reply: int) -> None:
    assert drive(delete(KEYS, HASH), reply) == ([("UNLINK", f"ns:entry:{HASH}")], bool(reply))


def test_a_flush_says_whether_it_waits() -> None:
    for asynchronous, how in ((True, "ASYNC"), (False, "SYNC")):
        commands, _ = drive(flushing(asynchronous=asynchronous), 1)
        assert commands == [("EVAL", FLUSH, 1, "ns:epoch", "c12.500-e9", how)]


def test_a_flush_that_a_script_may_not_do_is_sent_by_itself() -> None:
    commands, _ = drive(flushing(asynchronous=True), StoreRefused("NOPERM"), "OK", 1)
    assert commands[1:] == [("FLUSHDB", "ASYNC"), ("EVAL", CLEAR, 1, "ns:epoch", "c12.500-e9")]


@pytest.mark.parametrize("error", [StoreTimeout("late"), StoreUnavailable("down")])
def test_a_flush_whose_fate_is_unknown_raises(error: Exception) -> None:
    with pytest.raises(type(error)):
        drive(flushing(asynchronous=True), error)


def flushing(*, asynchronous: bool) -> Operation[None]:
    return flush_database(KEYS, token="e9", now=12.5, asynchronous=asynchronous)


def test_a_reclaim_goes_round_and_skips_keys_that_are_not_its_own() -> None:
    mine, other = KEYS.entry("b" * 64), "ns:entry:epoch"
    commands, result = drive(reclaim(KEYS), ["7", [mine, other]], 1, ["0", []])
    assert [command[0] for command in commands] == ["SCAN", "EVAL", "SCAN"]
    assert commands[1][2:5] == (2, "ns:epoch", mine)
    assert commands[1][-4:] == (HEAD, "ns:epoch:", "UNLINK", "")
    assert commands[2][1] == "7"
    assert (result.scanned, result.removed, result.complete) == (1, 1, True)


def test_a_reclaim_that_is_out_of_time_returns_where_to_go_on() -> None:
    commands, result = drive(reclaim(KEYS, proceed=lambda: False), ["7", []])
    assert (len(commands), result.cursor, result.complete) == (1, "7", False)


MINE = KEYS.entry("b" * 64)
LATE = StoreTimeout("late")


@pytest.mark.parametrize("failures", [(LATE,), (StoreUnavailable("down"), StoreGarbled("?"))])
@pytest.mark.parametrize("half", [(), (["9", [MINE]],)])
def test_reclaim_tries_a_failed_page_again(
    failures: tuple[Exception, ...], half: tuple[Any, ...]
) -> None:
    failed = [reply for error in failures for reply in (*half, error, None)]
    replies = [["7", [MINE]], 1, *failed, ["0", [MINE]], 1]
    commands, result = drive(reclaim(KEYS), *replies)
    assert commands.count(Pause(RETRY_PAUSE)) == len(failures)
    assert [command[1] for command in commands if isinstance(command, tuple) and "SCAN" in command][
        1:
    ] == ["7"] * (len(failures) + 1)
    assert (result.scanned, result.removed, result.complete) == (2, 2, True)


@pytest.mark.parametrize(
    ("failures", "proceed"),
    [
        ([LATE, None] * (TRIES - 1) + [LATE], True),
        ([LATE], False),
        ([StoreRefused("NOPERM")], True),
    ],
)
@pytest.mark.parametrize("replies", [[], [["7", [MINE]], 1]])
def test_reclaim_that_fails_says_how_far_it_came(
    replies: list[Any], failures: list[Any], proceed: bool
) -> None:
    turns = iter([True] * (len(replies) // 2))
    _, result = drive(reclaim(KEYS, proceed=lambda: next(turns, proceed)), *replies, *failures)
    assert result.failure is failures[-1]
    assert (result.removed, result.cursor) == ((1, "7") if replies else (0, "0"))
    assert not result.complete


@pytest.mark.parametrize(
    ("operation", "cleared"),
    [
        (reclaim(KEYS, dry_run=True), ""),
        (preview(KEYS), "ns:epoch"),
        (preview(KEYS, tag="red"), f"ns:epoch:{RED}"),
    ],
)
def test_a_dry_run_counts_and_deletes_nothing(operation: Operation[Any], cleared: str) -> None:
    commands, result = drive(operation, ["0", [KEYS.entry("b" * 64)]], 1)
    assert commands[1][-2:] == ("EXISTS", cleared)
    assert result.removed == 1
