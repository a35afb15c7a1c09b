"""When Upstash is left alone, and when it is asked again."""

import asyncio
import logging
import math
from contextlib import suppress
from typing import Any

import pytest
from tests.clock import Clock

from llm_cache import Breaker, Circuit, CircuitOpen, InvalidSettings
from llm_cache._errors import StoreRefused, StoreTimeout


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(failures=3, seconds=30, slow=0.5, clock=clock)


def state_of(breaker: Breaker) -> Circuit:
    return breaker.state


def fail(breaker: Breaker, error: BaseException | None = None, *, fair: bool = True) -> None:
    error = error or StoreTimeout("late")
    with pytest.raises(type(error)), breaker.guard(fair=fair):
        raise error


def succeed(breaker: Breaker, clock: Clock, seconds: float = 0.0) -> None:
    with breaker.guard():
        clock.now += seconds


def refuses(breaker: Breaker) -> bool:
    try:
        with breaker.guard():
            return False
    except CircuitOpen:
        return True


def test_failures_in_a_row_open_it(breaker: Breaker) -> None:
    fail(breaker)
    fail(breaker)
    assert state_of(breaker) == Circuit.CLOSED
    fail(breaker)
    assert state_of(breaker) == Circuit.OPEN
    assert refuses(breaker)


def test_a_success_in_between_starts_the_count_anew(breaker: Breaker, clock: Clock) -> None:
    for _ in range(5):
        fail(breaker)
        fail(breaker)
        succeed(breaker, clock)
    assert state_of(breaker) == Circuit.CLOSED


@pytest.mark.parametrize(("seconds", "state"), [(0.5, Circuit.CLOSED), (0.6, Circuit.OPEN)])
def test_slow_answers_are_failures(
    breaker: Breaker, clock: Clock, seconds: float, state: Circuit
) -> None:
    for _ in range(3):
        succeed(breaker, clock, seconds)
    assert state_of(breaker) == state


def test_who_refuses_is_there(breaker: Breaker) -> None:
    for _ in range(9):
        fail(breaker, StoreRefused("NOPERM"))
    assert state_of(breaker) == Circuit.CLOSED


def test_one_that_had_no_fair_time_teaches_nothing(breaker: Breaker) -> None:
    for _ in range(9):
        fail(breaker, fair=False)
    assert state_of(breaker) == Circuit.CLOSED


def overlapping(breaker: Breaker, clock: Clock, ends: list[BaseException | None]) -> None:
    """Begin commands together; end each a second after the one before it."""
    guards = [breaker.guard() for _ in ends]
    for guard in guards:
        guard.__enter__()
    for guard, error in zip(guards, ends, strict=True):
        clock.now += 1
        with suppress(StoreTimeout):
            guard.__exit__(type(error) if error else None, error, None)


LATE = StoreTimeout("late")


def test_failures_that_overlap_count_once(breaker: Breaker, clock: Clock) -> None:
    for _ in range(2):
        overlapping(breaker, clock, [LATE] * 6)
        assert state_of(breaker) == Circuit.CLOSED
    overlapping(breaker, clock, [LATE])
    assert state_of(breaker) == Circuit.OPEN


def test_slow_answers_that_overlap_count_once(breaker: Breaker, clock: Clock) -> None:
    overlapping(breaker, clock, [None] * 6)
    assert state_of(breaker) == Circuit.CLOSED


def test_failure_that_began_before_the_circuit_opened_does_not_fail_its_probe(
    breaker: Breaker, clock: Clock
) -> None:
    late = breaker.guard()
    late.__enter__()
    clock.now += 1
    opened(breaker)
    clock.now += 30
    with breaker.guard():
        late.__exit__(StoreTimeout, LATE, None)
        assert state_of(breaker) == Circuit.HALF_OPEN
    assert state_of(breaker) == Circuit.CLOSED


def opened(breaker: Breaker) -> None:
    for _ in range(3):
        fail(breaker)


def test_after_its_time_one_command_is_let_through_to_see(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    clock.now += 29.9
    assert refuses(breaker)
    clock.now += 0.1
    assert state_of(breaker) == Circuit.HALF_OPEN
    with breaker.guard():
        assert refuses(breaker)
    assert state_of(breaker) == Circuit.CLOSED
    fail(breaker)
    assert state_of(breaker) == Circuit.CLOSED


def test_a_probe_that_fails_opens_it_again_for_as_long(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    clock.now += 30
    fail(breaker)
    clock.now += 29.9
    assert state_of(breaker) == Circuit.OPEN
    clock.now += 0.1
    succeed(breaker, clock)
    assert state_of(breaker) == Circuit.CLOSED


@pytest.mark.parametrize("error", [asyncio.CancelledError(), KeyboardInterrupt()])
def test_a_probe_that_was_cancelled_is_followed_by_another(
    breaker: Breaker, clock: Clock, error: BaseException
) -> None:
    opened(breaker)
    clock.now += 30
    fail(breaker, error)
    assert state_of(breaker) == Circuit.HALF_OPEN
    succeed(breaker, clock)
    assert state_of(breaker) == Circuit.CLOSED


def test_opening_and_closing_are_logged_once_each(
    breaker: Breaker, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    opened(breaker)
    refuses(breaker)
    clock.now += 30
    fail(breaker)
    clock.now += 30
    succeed(breaker, clock)
    succeed(breaker, clock)
    assert [record.getMessage() for record in caplog.records] == [
        "cache circuit open: Upstash is left alone for 30 s",
        "cache circuit closed: Upstash answers again",
    ]


def test_it_can_be_told_never_to_open(clock: Clock) -> None:
    never = Breaker(failures=math.inf, clock=clock)
    for _ in range(100):
        fail(never)
    assert state_of(never) == Circuit.CLOSED


@pytest.mark.parametrize("name", ["failures", "seconds", "slow"])
@pytest.mark.parametrize("value", [0, -1, "3", True, math.nan])
def test_a_wrong_bound_is_named(name: str, value: Any) -> None:
    with pytest.raises(InvalidSettings, match=f"breaker {name}="):
        Breaker(**{name: value})
