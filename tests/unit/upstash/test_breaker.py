"""When the circuit breaker opens, and when it closes."""

import asyncio
import logging
import math
from contextlib import suppress
from typing import Any

import pytest
from tests.clock import Clock

from llm_cache import Breaker, Circuit, CircuitOpen, InvalidSettings
from llm_cache._errors import QuotaExceeded, StoreRefused, StoreTimeout


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(failures=3, seconds=30, slow=0.5, clock=clock)


def refuses(breaker: Breaker) -> bool:
    try:
        with breaker.guard():
            return False
    except CircuitOpen:
        return True


LATE = StoreTimeout("late")
SECONDS = {"success": 0.0, "slow": 0.5, "slower": 0.6}
ERRORS = {
    "failure": LATE,
    "unfair": LATE,
    "refusal": StoreRefused("NOPERM"),
    "quota": QuotaExceeded("quota"),
    "quota-60": QuotaExceeded("quota", 60),
    "quota-day": QuotaExceeded("quota", 86_400),
    "cancelled": asyncio.CancelledError(),
    "interrupt": KeyboardInterrupt(),
}


def run(breaker: Breaker, clock: Clock, steps: str) -> Circuit:
    """Run commands that end as their names say, wait the seconds between them; return the state."""
    for step in steps.split():
        if error := ERRORS.get(step):
            with pytest.raises(type(error)), breaker.guard(fair=step != "unfair"):
                raise error
        elif step in SECONDS:
            with breaker.guard():
                clock.now += SECONDS[step]
        else:
            clock.now += float(step)
    return breaker.state


OPENED = "failure failure failure"


@pytest.mark.parametrize(
    ("steps", "state"),
    [
        ("failure failure", Circuit.CLOSED),
        (OPENED, Circuit.OPEN),
        ("failure failure success failure failure success failure", Circuit.CLOSED),
        ("slow slow slow", Circuit.CLOSED),
        ("slower slower slower", Circuit.OPEN),
        ("refusal refusal refusal refusal", Circuit.CLOSED),
        ("unfair unfair unfair unfair", Circuit.CLOSED),
        (f"{OPENED} 29.9", Circuit.OPEN),
        (f"{OPENED} 30", Circuit.HALF_OPEN),
        (f"{OPENED} 30 success failure", Circuit.CLOSED),
        (f"{OPENED} 30 failure 29.9", Circuit.OPEN),
        (f"{OPENED} 30 failure 30 success", Circuit.CLOSED),
        (f"{OPENED} 30 cancelled", Circuit.HALF_OPEN),
        (f"{OPENED} 30 interrupt success", Circuit.CLOSED),
        ("quota 29.9", Circuit.OPEN),
        ("quota 30", Circuit.HALF_OPEN),
        ("quota-60 59.9", Circuit.OPEN),
        ("quota-60 60", Circuit.HALF_OPEN),
        ("quota-day 299.9", Circuit.OPEN),
        ("quota-day 300", Circuit.HALF_OPEN),
    ],
)
def test_commands_and_time_decide_the_state(
    breaker: Breaker, clock: Clock, steps: str, state: Circuit
) -> None:
    assert run(breaker, clock, steps) == state


def test_open_circuit_refuses_commands_and_half_open_all_but_one(
    breaker: Breaker, clock: Clock
) -> None:
    run(breaker, clock, OPENED)
    assert refuses(breaker)
    run(breaker, clock, "30")
    with breaker.guard():
        assert refuses(breaker)
    assert not refuses(breaker)


def overlap(breaker: Breaker, clock: Clock, results: list[Exception | None]) -> None:
    """Begin commands together; end each a second after the one before it."""
    guards = [breaker.guard() for _ in results]
    for guard in guards:
        guard.__enter__()
    for guard, error in zip(guards, results, strict=True):
        clock.now += 1
        with suppress(StoreTimeout):
            guard.__exit__(type(error) if error else None, error, None)


@pytest.mark.parametrize("result", [LATE, None])
def test_overlapping_failures_and_slow_replies_count_once(
    breaker: Breaker, clock: Clock, result: Exception | None
) -> None:
    overlap(breaker, clock, [result] * 6)
    overlap(breaker, clock, [result] * 6)
    assert run(breaker, clock, "") == Circuit.CLOSED
    overlap(breaker, clock, [result])
    assert run(breaker, clock, "") == Circuit.OPEN


def test_failure_of_a_command_begun_before_the_circuit_opened_does_not_fail_the_probe(
    breaker: Breaker, clock: Clock
) -> None:
    late = breaker.guard()
    late.__enter__()
    run(breaker, clock, f"1 {OPENED} 30")
    with breaker.guard():
        late.__exit__(StoreTimeout, LATE, None)
        assert breaker.state == Circuit.HALF_OPEN
    assert run(breaker, clock, "") == Circuit.CLOSED


def test_opening_and_closing_are_logged_once_each(
    breaker: Breaker, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    run(breaker, clock, f"{OPENED} 30 failure 30 success success")
    assert caplog.messages == [
        "cache circuit open: no request is sent to Upstash for 30 s",
        "cache circuit closed: Upstash replies again",
    ]


def test_breaker_with_infinite_failures_never_opens(clock: Clock) -> None:
    never = Breaker(failures=math.inf, clock=clock)
    assert run(never, clock, f"{'failure ' * 100} quota") == Circuit.CLOSED


@pytest.mark.parametrize("name", ["failures", "seconds", "slow"])
@pytest.mark.parametrize("value", [0, -1, "3", True, math.nan])
def test_invalid_bound_is_named(name: str, value: Any) -> None:
    with pytest.raises(InvalidSettings, match=f"breaker {name}="):
        Breaker(**{name: value})
