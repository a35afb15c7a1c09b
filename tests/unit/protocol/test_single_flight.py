"""Which callers compute an answer and which wait, driven by hand: no server, no clock."""

from collections.abc import Callable
from itertools import chain, repeat
from types import SimpleNamespace
from typing import Any

import pytest
from tests.unit.protocol.operations import (
    ENTRY_KEY,
    EPOCH_KEY,
    LEASE_KEY,
    RED,
    Stepper,
    entry,
    hit,
    miss,
    request,
)

from llm_cache._entries.keys import STORE_MARK
from llm_cache._errors import StoreTimeout
from llm_cache._protocol.effects import Pause
from llm_cache._protocol.in_flight import InFlightCall, InFlightCalls, Leader, NotShared
from llm_cache._protocol.leases import RELEASE, TAKE
from llm_cache._protocol.lookup import Miss
from llm_cache._protocol.single_flight import Compute, SingleFlight, lead_or_wait
from llm_cache._reasons import Reason

MISS: Miss[str] = Miss(Reason.UNKNOWN, ("e1",))
TOKEN = "mine"
TAKES = ("EVAL", TAKE, 3, LEASE_KEY, EPOCH_KEY, ENTRY_KEY, TOKEN, 10_000, 10_000)
RELEASES = ("EVAL", RELEASE, 1, LEASE_KEY, TOKEN, "")
HELD, TAKEN, UNCACHEABLE = [0, "e1", None], [1, "e1", None], [2, "e1", None]
SLOW = StoreTimeout("slow")


@pytest.fixture
def released() -> list[str]:
    """The tokens of the leases that were released."""
    return []


@pytest.fixture
def flight(released: list[str], monkeypatch: pytest.MonkeyPatch) -> SingleFlight:
    """Single flight of a patient caller, while time stands still."""
    time = SimpleNamespace(monotonic=lambda: 0.0)
    monkeypatch.setattr("llm_cache._protocol.in_flight.time", time)
    return SingleFlight(InFlightCalls(), 30.0, TOKEN, lambda: 60.0, released.append)


def patience(*seconds: float) -> Callable[[], float]:
    """Return a patience that returns each of ``seconds``, and the last again and again."""
    left = chain(seconds, repeat(seconds[-1]))
    return lambda: next(left)


def join(
    flight: SingleFlight,
    coalesce: str,
    *replies: Any,
    missed: Miss[str] = MISS,
    **policy: Any,
) -> Stepper:
    """Have a caller join single flight, and send it the replies."""
    caller = Stepper(lead_or_wait(request(coalesce=coalesce, **policy), missed, flight))
    for reply in replies:
        caller.reply(reply)
    return caller


def join_two(flight: SingleFlight, **policy: Any) -> tuple[Leader, Stepper]:
    """Return the leader of a process, and a second caller."""
    return join(flight, "process").result.leader, join(flight, "process", **policy)


SET_BY_STORE, SET_BY_ANOTHER_STORE = f"{STORE_MARK}1", f"{STORE_MARK}2"


@pytest.mark.parametrize(
    ("leader", "waiter", "waits"),
    [
        (None, None, True),
        (None, SET_BY_STORE, True),
        (SET_BY_STORE, SET_BY_STORE, True),
        (SET_BY_STORE, None, False),
        (SET_BY_STORE, SET_BY_ANOTHER_STORE, False),
    ],
)
def test_caller_waits_for_no_leader_that_may_be_older_than_an_evicted_clear(
    flight: SingleFlight, leader: str | None, waiter: str | None, waits: bool
) -> None:
    first = join(flight, "process", missed=Miss(Reason.UNKNOWN, (leader,)))
    assert first.result.leader
    second = join(flight, "process", missed=Miss(Reason.UNKNOWN, (waiter,)))
    assert isinstance(second.step, Pause) is waits
    assert waits or second.result == Compute(Miss(Reason.UNKNOWN, (waiter,)))


def test_first_caller_leads_without_a_command(flight: SingleFlight) -> None:
    first = join(flight, "process")
    assert isinstance(first.result.leader, Leader)
    assert (first.step, first.result) == (None, Compute(MISS, first.result.leader))


@pytest.mark.parametrize("coalesce", ["process", "fleet"])
@pytest.mark.parametrize(("left", "seconds"), [(5.0, 5.0), (60.0, 30.0)])
def test_second_caller_waits_for_the_call_within_its_patience(
    flight: SingleFlight, coalesce: str, left: float, seconds: float
) -> None:
    leader = join(flight, "process").result.leader
    waiter = join(flight._replace(patience=lambda: left), coalesce)
    assert waiter.step == Pause(seconds, leader.call.result)


@pytest.mark.parametrize(
    ("result", "policy", "shared"),
    [
        (entry(""), {}, hit(5)),
        (NotShared.UNCACHEABLE, {}, Compute(MISS)),
        ("rubbish", {}, Compute(MISS)),
        (entry("", answer="bye"), {}, Compute(MISS)),
        (entry("", age=60), {}, Compute(MISS)),
        (entry(""), {"min_fresh": 56}, Compute(MISS)),
    ],
)
def test_waiter_gets_the_result_or_computes_without_waiters_of_its_own(
    flight: SingleFlight, result: Any, policy: dict[str, Any], shared: object
) -> None:
    leader, waiter = join_two(flight, **policy)
    leader.complete(result)
    assert (waiter.reply(None), waiter.result) == (None, shared)


@pytest.mark.parametrize("late", [False, True])
def test_one_waiter_replaces_a_failed_or_late_leader_and_other_waiters_wait(
    flight: SingleFlight, monkeypatch: pytest.MonkeyPatch, late: bool
) -> None:
    leader, second = join_two(flight)
    third = join(flight, "process")
    with monkeypatch.context() as patch:
        if late:
            patch.setattr(InFlightCall, "seconds_left", lambda _: 0.0)
        else:
            leader.complete(NotShared.FAILED)
        assert second.reply(None) is None
    assert not leader.call.pending
    assert third.reply(None).until is second.result.leader.call.result


def test_caller_computes_when_its_patience_ends(flight: SingleFlight) -> None:
    _, at_once = join_two(flight._replace(patience=lambda: 0.0))
    assert (at_once.step, at_once.result) == (None, Compute(MISS))
    waiter = join(flight._replace(patience=patience(1.0, 1.0, 0.0)), "process")
    assert isinstance(waiter.step, Pause)
    assert (waiter.reply(None), waiter.result) == (None, Compute(MISS))


def test_callers_wait_under_the_same_tags_and_clears_only(flight: SingleFlight) -> None:
    leader = join(flight, "process", missed=miss(Reason.UNKNOWN, None)).result.leader
    stored = join(flight, "process", missed=miss(Reason.UNKNOWN, "f1"))
    assert stored.step.until is leader.call.result
    assert join(flight, "process", missed=miss(Reason.CLEARED, "c2")).result.leader
    assert join(flight, "process", tags=("red",)).result.leader


def test_cancelled_waiter_changes_nothing(flight: SingleFlight) -> None:
    leader, second = join_two(flight)
    third = join(flight, "process")
    second.cancel()
    assert leader.call.pending
    leader.complete(entry(""))
    assert (third.reply(None), third.result) == (None, hit(5))


def test_lease_is_taken_under_the_epochs_of_the_tags(flight: SingleFlight) -> None:
    keys = (4, LEASE_KEY, EPOCH_KEY, f"ns:epoch:{RED}", ENTRY_KEY)
    taking = join(flight._replace(lease=1.5), "fleet", tags=("red",)).step
    assert taking == ("EVAL", TAKE, *keys, TOKEN, 1500, 10_000)


CLEARED, RUBBISH = [1, "e2", entry("e1")], [1, "e1", "rubbish"]
UNREADABLE = miss(Reason.UNREADABLE, "e1", entry="rubbish")
LEADERS = {
    "lease is free": ([TAKEN], MISS, None),
    "lease expires": ([HELD, None, TAKEN], MISS, None),
    "clear since the lookup": ([CLEARED], miss(Reason.CLEARED, "e2", entry=entry("e1")), None),
    "unreadable entry": ([RUBBISH, 1], UNREADABLE, None),
    "unreadable entry that stays": ([RUBBISH, SLOW], UNREADABLE, None),
    "the lease may be taken": ([SLOW], MISS, SLOW),
    "the lease may be taken later": ([HELD, None, SLOW], MISS, SLOW),
}


@pytest.mark.parametrize(("replies", "missed", "failure"), LEADERS.values(), ids=LEADERS)
def test_leader_of_the_fleet_computes_under_a_lease_and_releases_it(
    flight: SingleFlight, released: list[str], replies: list[Any], missed: Any, failure: Any
) -> None:
    first = join(flight, "fleet")
    assert first.step == TAKES
    for reply in replies:
        first.reply(reply)
    leader = first.result.leader
    assert first.result == Compute(missed, leader, failure)
    assert join(flight, "fleet", missed=MISS).step.until is leader.call.result
    assert leader.call.seconds_left() == 30
    leader.close()
    assert released == [TOKEN]


@pytest.mark.parametrize("reason", [Reason.UNREADABLE, Reason.FORGED])
def test_miss_keeps_its_reason_if_the_lookup_deleted_the_entry(
    flight: SingleFlight, reason: Reason
) -> None:
    first = join(flight, "fleet", TAKEN, missed=miss(reason, "e1", entry="rubbish"))
    assert first.result.miss == miss(reason, "e1")


def test_polls_follow_pauses_from_50_milliseconds_to_a_second(flight: SingleFlight) -> None:
    first, pauses = join(flight, "fleet"), []
    for _ in range(8):
        pauses.append(first.reply(HELD))
        assert first.reply(None) == TAKES
    assert pauses == [Pause(seconds) for seconds in (0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0)]
    hasty = flight._replace(patience=patience(0.02), calls=InFlightCalls())
    assert join(hasty, "fleet", HELD).step == Pause(0.02)


@pytest.mark.parametrize("polls", [1, 4])
@pytest.mark.parametrize("state", [HELD, UNCACHEABLE])
def test_caller_leads_its_process_without_a_lease_when_its_patience_ends(
    flight: SingleFlight, polls: int, state: list[Any]
) -> None:
    left = patience(*repeat(1.0, 2 * polls - 2), 0.0)
    first = join(flight._replace(patience=left), "fleet", *[HELD, None] * (polls - 1), state)
    assert first.result.leader.call.lease is None
    assert join(flight, "process").step.until is first.result.leader.call.result


@pytest.mark.parametrize(
    ("reply", "shared"),
    [
        ([0, "e1", entry()], hit(5)),
        ([2, "e1", entry()], hit(5)),
        (UNCACHEABLE, Compute(MISS)),
    ],
)
def test_result_of_another_process_is_shared_without_a_release(
    flight: SingleFlight, released: list[str], reply: Any, shared: Any
) -> None:
    first, second = join(flight, "fleet", HELD), join(flight, "fleet")
    first.reply(None)
    assert first.reply(reply) is second.reply(None) is None
    assert first.result == second.result == shared
    assert released == []
    assert not flight.calls._current


@pytest.mark.parametrize("reply", [1, SLOW])
def test_hit_under_the_own_lease_releases_it_before_it_returns(
    flight: SingleFlight, released: list[str], reply: Any
) -> None:
    first, second = join(flight, "fleet"), join(flight, "fleet")
    assert first.reply([1, "e1", entry()]) == RELEASES
    assert second.reply(None) is None
    assert first.reply(reply) is None
    assert first.result == second.result == hit(5)
    assert released == []
    assert not flight.calls._current


def test_caller_that_is_cancelled_during_its_release_releases_again(
    flight: SingleFlight, released: list[str]
) -> None:
    first = join(flight, "fleet", [1, "e1", entry()])
    assert first.step == RELEASES
    first.cancel()
    assert released == [TOKEN]


@pytest.mark.parametrize(("coalesce", "lease"), [("process", None), ("fleet", TOKEN)])
def test_retry_in_the_same_context_leads_without_a_command_under_its_lease(
    flight: SingleFlight, coalesce: str, lease: str | None
) -> None:
    first = join(flight, coalesce, *[TAKEN] * (coalesce == "fleet"))
    waiter = join(flight, coalesce)
    retry = join(flight._replace(previous=first.result.leader, token="another"), coalesce)
    assert retry.step is None
    assert retry.result.leader.call.lease == lease
    assert waiter.reply(None).until is retry.result.leader.call.result


CANCELS = {
    "taking": ([], [TOKEN]),
    "pausing": ([HELD], []),
    "taking again": ([HELD, None], [TOKEN]),
    "reading a tag's epoch": ([[1, "e1", entry(red="r1")]], [TOKEN]),
}


@pytest.mark.parametrize(("replies", "tokens"), CANCELS.values(), ids=CANCELS)
def test_cancelled_caller_leaves_no_call_and_releases_a_lease_it_may_have_taken(
    flight: SingleFlight, released: list[str], replies: list[Any], tokens: list[str]
) -> None:
    first, second = join(flight, "fleet"), join(flight, "fleet")
    for reply in replies:
        first.reply(reply)
    first.cancel()
    assert released == tokens
    assert second.reply(None) == TAKES
    second.cancel()
    assert not flight.calls._current
