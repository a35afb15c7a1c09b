"""Every rule of who computes and who waits, driven by hand: no server, no clock, no sleep."""

import gc
from collections.abc import Callable, Iterator
from itertools import repeat
from types import SimpleNamespace
from typing import Any
from unittest.mock import ANY

import pytest

from llm_cache import CachePolicy, StoreError, UnreadableEntry
from llm_cache._entries.envelope import HEAD, Entry, before_tag, body, head
from llm_cache._entries.keys import Keyspace, tag_hash
from llm_cache._errors import StoreTimeout
from llm_cache._protocol.effects import Operation, Pause
from llm_cache._protocol.in_flight import InFlightCall, InFlightCalls, Leader, NotShared
from llm_cache._protocol.leases import RELEASE, RENEW, TAKE, release, renew
from llm_cache._protocol.lookup import Hit, Miss
from llm_cache._protocol.request import Request
from llm_cache._protocol.single_flight import Compute, InFlightCall, lead_or_wait, leave
from llm_cache._reasons import Reason

KEYS = Keyspace("ns")
HASH = "a" * 64
ENTRY, LEASE_KEY = f"ns:entry:{HASH}", f"ns:lease:{HASH}"
NOW = 1000.0
MISSED: Miss[str] = Miss(Reason.UNKNOWN, ("e1",))
AFTER_A_CLEAR: Miss[str] = Miss(Reason.CLEARED, ("e2",), None, ANY, ANY)
TOKEN = "mine"
TAKING = ("EVAL", TAKE, 3, LEASE_KEY, "ns:epoch", ENTRY, TOKEN, 10_000, 10_000)
GIVING_BACK = ("EVAL", RELEASE, 1, LEASE_KEY, TOKEN, "")
HELD, TAKEN, EACH_FOR_ITSELF = [0, "e1", None], [1, "e1", None], [2, "e1", None]


def landed(answer: str = "hi", created: float = NOW) -> str:
    return HEAD + body(head(created, 60, "langchain"), [f'"{answer}"'])


def stored(answer: str = "hi", epoch: str = "e1") -> str:
    return HEAD + epoch + body(head(NOW, 60, "langchain"), [f'"{answer}"'])


def read(found: Entry) -> str:
    if found.answer != ("hi",):
        raise UnreadableEntry("not hi")
    return "hi"


def wanted(coalesce: str, **fields: Any) -> Request[str]:
    policy = CachePolicy(coalesce=coalesce, **fields)
    return Request(KEYS, HASH, policy, lambda: NOW, read, "langchain")


@pytest.fixture
def turn() -> SingleFlight:
    """The turn of one who waits for as long as anybody flies."""
    flights = InFlightCalls()
    return SingleFlight(flights, 30.0, TOKEN, lambda: 60.0, lambda work: work.close())


def _words(command: Any) -> tuple[Any, ...]:
    assert isinstance(command, tuple)
    return command


def patient(*seconds: float) -> Callable[[], float]:
    """Return a patience that says each of ``seconds`` in turn."""
    left: Iterator[float] = iter(seconds)
    return lambda: next(left)


class Driven:
    """One who takes a turn, step by step."""

    def __init__(self, operation: Operation[Any]) -> None:
        self.operation = operation
        self.step: Any = None
        self.result: Any = None
        self.advance(None)

    def advance(self, reply: Any) -> Any:
        """Give the reply to the last step; return the next, None at the end."""
        try:
            if isinstance(reply, Exception):
                self.step = self.operation.throw(reply)
            else:
                self.step = self.operation.send(reply)
        except StopIteration as done:
            self.step, self.result = None, done.value
        return self.step


def taking(turn: SingleFlight, coalesce: str = "process", **fields: Any) -> Driven:
    return Driven(lead_or_wait(wanted(coalesce, **fields), MISSED, turn))


def waiting(turn: SingleFlight, coalesce: str = "process", **fields: Any) -> tuple[Leader, Driven]:
    """Return the claim of one who leads, and one who waits for it."""
    first = taking(turn)
    return first.result.claim, taking(turn, coalesce, **fields)


# --- within a process ---


def test_the_first_computes_without_a_command(turn: SingleFlight) -> None:
    first = taking(turn)
    assert first.step is None
    assert isinstance(first.result.claim, Leader)
    assert first.result == Compute(MISSED, first.result.claim)


@pytest.mark.parametrize("coalesce", ["process", "fleet"])
def test_the_second_waits_for_the_flight_without_a_command(
    turn: SingleFlight, coalesce: str
) -> None:
    claim, second = waiting(turn, coalesce)
    assert isinstance(second.step, Pause)
    assert second.step.until is claim.flight.landed


@pytest.mark.parametrize(("patience", "seconds"), [(5.0, 5.0), (60.0, 30.0)])
def test_a_wait_is_bounded_by_patience_and_by_the_flight(
    turn: SingleFlight, patience: float, seconds: float
) -> None:
    _, second = waiting(turn._replace(patience=lambda: patience))
    assert second.step.seconds == pytest.approx(seconds, abs=0.5)


def test_an_answer_that_lands_is_the_hit_of_those_who_wait(turn: SingleFlight) -> None:
    claim, second = waiting(turn)
    turn.flights.land(claim.flight, landed())
    assert second.advance(None) is None
    assert second.result == Hit("hi", 0.0, 60.0, ANY)


@pytest.mark.parametrize(
    ("landing", "fields"),
    [
        (NotShared.EACH_FOR_ITSELF, {}),
        ("rubbish", {}),
        (landed("bye"), {}),
        (landed(created=NOW - 60), {}),
        (landed(), {"min_fresh": 61}),
    ],
)
def test_what_those_who_wait_may_not_have_they_compute_with_nobody_waiting_for_them(
    turn: SingleFlight, landing: Any, fields: dict[str, Any]
) -> None:
    claim, second = waiting(turn, **fields)
    turn.flights.land(claim.flight, landing)
    assert second.advance(None) is None
    assert second.result == Compute(MISSED)


def test_after_a_failure_one_of_those_who_wait_leads_and_the_others_wait_for_it(
    turn: SingleFlight,
) -> None:
    claim, second = waiting(turn)
    third = taking(turn)
    turn.flights.land(claim.flight, NotShared.FAILED)
    assert second.advance(None) is None
    successor = second.result.claim
    assert successor.flight is not claim.flight
    assert third.advance(None).until is successor.flight.landed


def test_who_computes_for_too_long_is_taken_over(
    turn: SingleFlight, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim, second = waiting(turn)
    monkeypatch.setattr(InFlightCall, "left", lambda _: 0.0)
    assert second.advance(None) is None
    assert second.result.claim.flight is not claim.flight
    assert not claim.flight.flying


def test_who_has_no_patience_computes_at_once(turn: SingleFlight) -> None:
    _, second = waiting(turn._replace(patience=lambda: 0.0))
    assert (second.step, second.result) == (None, Compute(MISSED))


def test_whose_patience_ends_while_another_flies_computes(turn: SingleFlight) -> None:
    _, second = waiting(turn._replace(patience=patient(1.0, 1.0, 0.0)))
    assert isinstance(second.step, Pause)
    assert second.advance(None) is None
    assert second.result == Compute(MISSED)


def test_a_retry_in_the_same_context_does_not_wait_for_itself(turn: SingleFlight) -> None:
    claim, second = waiting(turn)
    again = taking(turn._replace(mine=claim))
    assert again.step is None
    assert second.advance(None).until is again.result.claim.flight.landed


def test_who_missed_under_other_epochs_or_tags_does_not_wait(turn: SingleFlight) -> None:
    claims = [
        Driven(lead_or_wait(wanted("process", tags=tags), missed, turn)).result.claim
        for tags, missed in [((), MISSED), ((), AFTER_A_CLEAR), (("t",), MISSED)]
    ]
    assert len({claim.flight for claim in claims}) == 3


def test_one_who_waits_and_is_cancelled_changes_nothing(turn: SingleFlight) -> None:
    claim, second = waiting(turn)
    third = taking(turn)
    second.operation.close()
    assert claim.flight.flying
    turn.flights.land(claim.flight, landed())
    third.advance(None)
    assert isinstance(third.result, Hit)


# --- across the fleet ---


def test_lease_whose_reply_is_lost_is_noted_so_that_it_is_released(turn: SingleFlight) -> None:
    first = taking(turn, "fleet")
    assert first.advance(StoreTimeout("lost")) is None
    claim, released = first.result.claim, []
    assert claim.flight.lease == TOKEN
    leave(
        turn.flights, claim.flight, KEYS, HASH, lambda work: released.append(_words(next(work))[4])
    )
    assert released == [TOKEN]


def test_across_the_fleet_the_lease_is_taken_in_one_command(turn: SingleFlight) -> None:
    first = taking(turn, "fleet")
    assert first.step == TAKING
    assert first.advance(TAKEN) is None
    assert first.result == Compute(MISSED, first.result.claim)
    assert first.result.claim.flight.lease == TOKEN


def test_the_lease_is_taken_under_the_epochs_of_the_tags_too(turn: SingleFlight) -> None:
    epoch = f"ns:epoch:{tag_hash('t')}"
    first = taking(turn, "fleet", tags=("t",))
    words = (LEASE_KEY, "ns:epoch", epoch, ENTRY, TOKEN, 10_000, 10_000)
    assert first.step == ("EVAL", TAKE, 4, *words)


@pytest.mark.parametrize(
    ("seconds", "milliseconds"), [(120, 10_000), (10, 10_000), (1.5, 1500), (0.0001, 1)]
)
def test_a_lease_stands_for_ten_seconds_at_most_in_whole_milliseconds(
    turn: SingleFlight, seconds: float, milliseconds: int
) -> None:
    assert taking(turn._replace(lease=seconds), "fleet").step[-2] == milliseconds


def test_who_has_the_lease_computes_under_the_epochs_that_came_with_it(turn: SingleFlight) -> None:
    first = taking(turn, "fleet")
    first.advance([1, "e2", stored(epoch="e1")])
    assert first.result.missed == Miss(Reason.CLEARED, ("e2",), None, ANY, ANY)


def test_pauses_double_from_50_milliseconds_to_a_second(turn: SingleFlight) -> None:
    first = taking(turn, "fleet")
    pauses = []
    for _ in range(8):
        pauses.append(first.advance(HELD))
        assert first.advance(None) == TAKING
    assert pauses == [Pause(seconds) for seconds in (0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0)]


def test_a_pause_is_never_longer_than_patience(turn: SingleFlight) -> None:
    first = taking(turn._replace(patience=patient(0.02, 0.02)), "fleet")
    assert first.advance(HELD) == Pause(0.02)


@pytest.mark.parametrize("looks", [1, 4])
def test_whose_patience_ends_computes_for_who_waits_for_it_without_a_lease(
    turn: SingleFlight, looks: int
) -> None:
    left = patient(*repeat(1.0, 2 * looks - 2), 0.0)
    first = taking(turn._replace(patience=left), "fleet")
    for _ in range(looks - 1):
        first.advance(HELD)
        first.advance(None)
    assert first.advance(HELD) is None
    assert first.result.claim.flight.lease is None
    assert taking(turn).step.until is first.result.claim.flight.landed


def test_who_waited_takes_the_lease_that_has_gone(turn: SingleFlight) -> None:
    first = taking(turn, "fleet")
    first.advance(HELD)
    first.advance(None)
    first.advance(TAKEN)
    assert first.result.claim.flight.lease == TOKEN


def test_the_answer_of_another_process_is_a_hit_and_lands_for_this_one(turn: SingleFlight) -> None:
    first = taking(turn, "fleet")
    first.advance(HELD)
    second = taking(turn, "fleet")
    first.advance(None)
    assert first.advance([0, "e1", stored()]) is None
    assert first.result == Hit("hi", 0.0, 60.0, ANY)
    second.advance(None)
    assert second.result == first.result
    assert not turn.flights._current


def test_an_answer_found_while_taking_the_lease_gives_it_back(turn: SingleFlight) -> None:
    first = taking(turn, "fleet")
    assert first.advance([1, "e1", stored()]) == GIVING_BACK
    assert first.advance(1) is None
    assert isinstance(first.result, Hit)


def test_an_answer_found_is_a_hit_even_if_the_lease_cannot_be_given_back(
    turn: SingleFlight,
) -> None:
    first = taking(turn, "fleet")
    assert first.advance([1, "e1", stored()]) == GIVING_BACK
    assert first.advance(StoreTimeout("slow")) is None
    assert isinstance(first.result, Hit)


@pytest.mark.parametrize("state", [0, 2])
def test_an_answer_found_without_the_lease_gives_nothing_back(
    turn: SingleFlight, state: int
) -> None:
    first = taking(turn, "fleet")
    assert first.advance([state, "e1", stored()]) is None
    assert isinstance(first.result, Hit)


def test_where_each_is_for_itself_nobody_waits_and_those_here_are_told(turn: SingleFlight) -> None:
    first = taking(turn, "fleet")
    second = taking(turn, "fleet")
    assert first.advance(EACH_FOR_ITSELF) is None
    second.advance(None)
    assert first.result == second.result == Compute(MISSED)
    assert not turn.flights._current


def test_without_patience_each_for_itself_computes_too(turn: SingleFlight) -> None:
    first = taking(turn._replace(patience=lambda: 0.0), "fleet")
    assert first.advance(EACH_FOR_ITSELF) is None
    assert isinstance(first.result, Compute)


def test_rubbish_beside_the_lease_is_deleted_and_computed_anew(turn: SingleFlight) -> None:
    first = taking(turn, "fleet")
    assert first.advance([1, "e1", "rubbish"]) == ("UNLINK", ENTRY)
    assert first.advance(1) is None
    assert first.result == Compute(
        Miss(Reason.UNREADABLE, ("e1",), None, ANY, ANY), first.result.claim
    )
    assert first.result.claim.flight.lease == TOKEN


@pytest.mark.parametrize("looks", [0, 1])
def test_a_store_that_fails_while_taking_leaves_the_answer_to_the_caller(
    turn: SingleFlight, looks: int
) -> None:
    """Those in its process still wait for it, so that a database that is down costs one call."""
    first = taking(turn, "fleet")
    for _ in range(looks):
        first.advance(HELD)
        first.advance(None)
    error: StoreError = StoreTimeout("slow")
    assert first.advance(error) is None
    assert first.result == Compute(MISSED, first.result.claim, error)
    assert taking(turn, "fleet").step.until is first.result.claim.flight.landed


def test_a_store_that_fails_after_the_lease_was_taken_keeps_it(turn: SingleFlight) -> None:
    first = taking(turn, "fleet")
    first.advance([1, "e1", "rubbish"])
    first.advance(StoreTimeout("slow"))
    assert first.result.claim.flight.lease == TOKEN


def test_a_retry_goes_on_under_its_lease_without_a_command(turn: SingleFlight) -> None:
    first = taking(turn, "fleet")
    first.advance(TAKEN)
    again = taking(turn._replace(mine=first.result.claim, token="another"), "fleet")
    assert again.step is None
    assert again.result.claim.flight.lease == TOKEN


def test_the_next_goes_on_under_the_lease_of_a_context_that_is_gone(turn: SingleFlight) -> None:
    first = taking(turn, "fleet")
    second = taking(turn, "fleet")
    first.advance(TAKEN)
    del first
    gc.collect()
    assert second.advance(None) is None
    assert second.result.claim.flight.lease == TOKEN


@pytest.mark.parametrize("replies", [(), (HELD,), (HELD, None)])
def test_one_who_is_cancelled_on_the_way_leaves_no_flight_behind(
    turn: SingleFlight, replies: tuple[Any, ...]
) -> None:
    first = taking(turn, "fleet")
    second = taking(turn, "fleet")
    for reply in replies:
        first.advance(reply)
    first.operation.close()
    gc.collect()
    assert second.advance(None) == TAKING
    second.operation.close()
    gc.collect()
    assert not turn.flights._current


@pytest.mark.parametrize(
    ("replies", "given_back"), [((), [TOKEN]), ((HELD,), []), ((HELD, None), [TOKEN])]
)
def test_one_who_is_cancelled_while_asking_for_the_lease_gives_it_back(
    turn: SingleFlight, replies: tuple[Any, ...], given_back: list[str]
) -> None:
    left: list[Any] = []
    leaving = turn._replace(finish=lambda work: left.append(_words(next(work))[4]))
    first = taking(leaving, "fleet")
    for reply in replies:
        first.advance(reply)
    first.operation.close()
    assert left == given_back


def test_one_who_is_cancelled_with_the_lease_while_asking_for_more_gives_it_back(
    turn: SingleFlight,
) -> None:
    first = taking(turn, "fleet")
    tagged = (
        HEAD + "e1" + before_tag(tag_hash("t")) + "t1" + body(head(NOW, 60, "langchain"), ['"hi"'])
    )
    assert first.advance([1, "e1", tagged]) == ("MGET", f"ns:epoch:{tag_hash('t')}")
    first.operation.close()
    assert taking(turn, "fleet").step == TAKING


@pytest.mark.parametrize("state", [0, 1])
def test_one_who_is_cancelled_after_the_answer_landed_has_told_the_others(
    turn: SingleFlight, state: int
) -> None:
    first = taking(turn, "fleet")
    second = taking(turn, "fleet")
    first.advance([state, "e1", stored()])
    first.operation.close()
    second.advance(None)
    assert isinstance(second.result, Hit)


@pytest.mark.parametrize(("each_for_itself", "mark"), [(False, ""), (True, "-")])
def test_a_lease_is_given_back_in_one_command(each_for_itself: bool, mark: str) -> None:
    given = Driven(release(KEYS, HASH, TOKEN, each_for_itself=each_for_itself))
    assert given.step == ("EVAL", RELEASE, 1, LEASE_KEY, TOKEN, mark)
    assert given.advance(1) is None


@pytest.mark.parametrize(("left", "milliseconds"), [(60.0, 10_000), (4.0, 4000)])
def test_a_lease_is_renewed_in_one_command_for_no_longer_than_anybody_waits(
    monkeypatch: pytest.MonkeyPatch, left: float, milliseconds: int
) -> None:
    now = 100.0
    monkeypatch.setattr(
        "llm_cache._protocol.in_flight.time", SimpleNamespace(monotonic=lambda: now)
    )
    flight = InFlightCall("p", now + left, TOKEN, now + 1)
    renewal = Driven(renew(KEYS, HASH, flight))
    assert renewal.step == ("EVAL", RENEW, 1, LEASE_KEY, TOKEN, milliseconds)
    renewal.advance(1)
    assert renewal.result is True
    assert flight.held == now + milliseconds / 1000


def test_a_lease_that_another_has_taken_is_renewed_no_more() -> None:
    flight = InFlightCall("p", 100.0, TOKEN, 10.0)
    renewal = Driven(renew(KEYS, HASH, flight))
    renewal.advance(0)
    assert renewal.result is False
    assert flight.held == 10.0
