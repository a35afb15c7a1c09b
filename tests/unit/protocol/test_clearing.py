from typing import Any

import pytest
from tests.unit.protocol.operations import ENTRY_KEY, EPOCH_KEY, HASHED, KEYS, RED, drive

from llm_cache import InvalidPolicy
from llm_cache._entries.keys import cleared_at, cleared_epoch
from llm_cache._entries.opening import OPENING
from llm_cache._errors import StoreGarbled, StoreRefused, StoreTimeout, StoreUnavailable
from llm_cache._protocol.clearing import (
    CLEAR,
    FLUSH,
    PAGE,
    RECLAIM_PAGE,
    RETRY_PAUSE,
    TRIES,
    clear,
    delete,
    flush_database,
    preview,
    reclaim,
)
from llm_cache._protocol.effects import Operation, Pause

MINE = KEYS.entry("b" * 64)
LATE = StoreTimeout("late")
SENT_CLEAR = ("EVAL", CLEAR, 1, EPOCH_KEY, "c12.500-e9")


def clearing(**names: Any) -> Operation[None]:
    return clear(KEYS, token="e9", now=12.5, **names)


def flushing(*, asynchronous: bool) -> Operation[None]:
    return flush_database(KEYS, token="e9", now=12.5, asynchronous=asynchronous)


@pytest.mark.parametrize(
    ("names", "key"),
    [
        ({}, EPOCH_KEY),
        ({"tag": "red"}, f"ns:epoch:{RED}"),
        ({"tenant": "red"}, f"ns:epoch:{KEYS.tenant('red')}"),
    ],
)
def test_clear_is_one_command_that_sets_an_epoch_with_its_time(
    names: dict[str, str], key: str
) -> None:
    assert drive(clearing(**names), 1) == ([("EVAL", CLEAR, 1, key, "c12.500-e9")], None)
    assert KEYS.tenant("red") != KEYS.tag("red")


@pytest.mark.parametrize("field", ["tag", "tenant"])
@pytest.mark.parametrize("name", ["", "x" * 1001, 7, ["red"]])
def test_clear_and_preview_refuse_an_invalid_name(field: str, name: Any) -> None:
    for operation in (clearing, lambda **names: preview(KEYS, **names)):
        with pytest.raises(InvalidPolicy, match=f"{field}="):
            drive(operation(**{field: name}))


def test_clear_refuses_a_tag_with_a_tenant() -> None:
    with pytest.raises(InvalidPolicy, match="a tag or a tenant, not both"):
        drive(clearing(tag="a", tenant="b"))


def test_time_of_a_clear_is_read_from_its_epoch_and_from_no_other() -> None:
    assert cleared_at(cleared_epoch(12.3456, "e9")) == 12.346
    others = (None, "", "fe9", "ce9", "c-", "x12.5-e9")
    assert [cleared_at(epoch) for epoch in others] == [None] * 6


@pytest.mark.parametrize("count", [0, 1])
def test_delete_returns_whether_there_was_an_answer(count: int) -> None:
    assert drive(delete(KEYS, HASHED), count) == ([("UNLINK", ENTRY_KEY)], bool(count))


@pytest.mark.parametrize(("asynchronous", "mode"), [(True, "ASYNC"), (False, "SYNC")])
def test_flush_sends_two_commands_if_a_script_may_not_flush(asynchronous: bool, mode: str) -> None:
    script = ("EVAL", FLUSH, 1, EPOCH_KEY, "c12.500-e9", mode)
    assert drive(flushing(asynchronous=asynchronous), 1)[0] == [script]
    steps, _ = drive(flushing(asynchronous=asynchronous), StoreRefused("NOPERM"), "OK", 1)
    assert steps == [script, ("FLUSHDB", mode), SENT_CLEAR]


@pytest.mark.parametrize("error", [LATE, StoreUnavailable("down")])
def test_flush_that_may_have_run_raises(error: Exception) -> None:
    with pytest.raises(type(error)):
        drive(flushing(asynchronous=True), error)


def scan(cursor: str) -> tuple[object, ...]:
    return ("SCAN", cursor, "MATCH", KEYS.entry_pattern, "COUNT", PAGE)


def test_reclaim_scans_every_page_and_frees_its_own_entries_only() -> None:
    steps, result = drive(reclaim(KEYS), ["7", [MINE, "ns:entry:epoch"]], 1, ["0", []])
    page = ("EVAL", RECLAIM_PAGE, 2, EPOCH_KEY, MINE, OPENING, "ns:epoch:", "UNLINK", "")
    assert steps == [scan("0"), page, scan("7")]
    assert (result.scanned, result.removed, result.complete) == (1, 1, True)


def test_reclaim_without_time_returns_the_cursor_to_resume_from() -> None:
    steps, result = drive(reclaim(KEYS, cursor="5", proceed=lambda: False), ["7", []])
    assert (steps, result.cursor, result.complete) == ([scan("5")], "7", False)


@pytest.mark.parametrize("failures", [(LATE,), (StoreUnavailable("down"), StoreGarbled("?"))])
@pytest.mark.parametrize("scanned", [(), (["9", [MINE]],)])
def test_reclaim_retries_each_failed_page(
    failures: tuple[Exception, ...], scanned: tuple[Any, ...]
) -> None:
    failed = [reply for error in failures for reply in (*scanned, error, None)]
    pages = (*failed, ["7", [MINE]], 1, *failed, ["0", [MINE]], 1)
    steps, result = drive(reclaim(KEYS), *pages)
    assert steps.count(Pause(RETRY_PAUSE)) == 2 * len(failures)
    assert steps.count(scan("0")) == steps.count(scan("7")) == len(failures) + 1
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
def test_failed_reclaim_returns_its_progress_and_its_failure(
    replies: list[Any], failures: list[Any], proceed: bool
) -> None:
    pages = iter([True] * (len(replies) // 2))
    _, result = drive(reclaim(KEYS, proceed=lambda: next(pages, proceed)), *replies, *failures)
    assert result.failure is failures[-1]
    assert (result.removed, result.cursor) == ((1, "7") if replies else (0, "0"))
    assert not result.complete


@pytest.mark.parametrize(
    ("operation", "cleared"),
    [
        (reclaim(KEYS, dry_run=True), ""),
        (preview(KEYS), EPOCH_KEY),
        (preview(KEYS, tag="red"), f"ns:epoch:{RED}"),
    ],
)
def test_dry_run_and_preview_count_and_delete_nothing(
    operation: Operation[Any], cleared: str
) -> None:
    steps, result = drive(operation, ["0", [MINE]], 1)
    assert steps[1][-2:] == ("EXISTS", cleared)
    assert result.removed == 1
