"""How often a lease is renewed, and when no more."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from llm_cache._engine.heartbeat import RENEW_EVERY, Heartbeat
from llm_cache._protocol.in_flight import InFlightCall, NotShared
from llm_cache._protocol.leases import LEASE_LIFE
from upstash_endpoint.children import wait_until


@dataclass
class Time:
    """Stands in for the module ``time``: it passes while somebody sleeps, once ``go`` is set."""

    now: float = 0.0
    go: threading.Event = field(default_factory=threading.Event)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.go.wait()
        self.now += seconds


@pytest.fixture
def passing(monkeypatch: pytest.MonkeyPatch) -> Time:
    passing = Time()
    monkeypatch.setattr("llm_cache._engine.heartbeat.time", passing)
    monkeypatch.setattr("llm_cache._protocol.in_flight.time", passing)
    return passing


@pytest.fixture
def beating(passing: Time) -> Heartbeat:
    return Heartbeat()


def flight(seconds: float = 600.0, held: float = LEASE_LIFE) -> InFlightCall:
    return InFlightCall("p", seconds, "token", held)


def renewals(
    beating: Heartbeat, passing: Time, *flights: InFlightCall, renew: Callable[[int], bool]
) -> list[int]:
    """Keep the flights until nothing is due; return which was renewed, in order."""
    renewed: list[int] = []

    def work(number: int) -> bool:
        renewed.append(number)
        return renew(len(renewed))

    passing.go.clear()
    for number, one in enumerate(flights):
        beating.keep(one, lambda number=number: work(number))  # type: ignore[misc]
    passing.go.set()
    wait_until(lambda: beating._thread is None, seconds=60, what="the last of them")
    return renewed


def test_leases_are_renewed_in_turn_until_they_are_another_s(
    beating: Heartbeat, passing: Time
) -> None:
    renewed = renewals(beating, passing, flight(), flight(), renew=lambda count: count < 5)
    assert renewed == [0, 1, 0, 1, 0, 1]


def test_one_that_has_landed_is_renewed_no_more(beating: Heartbeat, passing: Time) -> None:
    landed, one = flight(), flight()

    def renew(count: int) -> bool:
        if count == 3:
            landed.result.set_result(NotShared.FAILED)
        return count < 5

    assert renewals(beating, passing, landed, one, renew=renew) == [0, 1, 0, 1, 1]


def test_one_that_nobody_waits_for_any_more_is_renewed_no_more(
    beating: Heartbeat, passing: Time
) -> None:
    short = flight(2.5 * RENEW_EVERY, held=0.0)
    assert renewals(beating, passing, short, renew=lambda _: True) == [0, 0]


def test_a_renewal_that_fails_is_tried_again(beating: Heartbeat, passing: Time) -> None:
    def renew(count: int) -> bool:
        if count < 3:
            raise RuntimeError("no connection")
        return False

    assert renewals(beating, passing, flight(), renew=renew) == [0, 0, 0]


def test_a_lease_that_stands_as_long_as_anybody_waits_needs_no_thread(
    beating: Heartbeat, passing: Time
) -> None:
    assert renewals(beating, passing, flight(5.0, held=5.0), renew=lambda _: True) == []


def test_after_a_pause_it_beats_again(beating: Heartbeat, passing: Time) -> None:
    for _ in range(2):
        assert renewals(beating, passing, flight(), renew=lambda _: False) == [0]


def test_renewal_that_is_lost_is_repeated_before_the_lease_lapses(
    beating: Heartbeat, passing: Time
) -> None:
    tries = list[float]()

    def renew(count: int) -> bool:
        tries.append(passing.now)
        if count == 1:
            raise ConnectionError("lost")
        return False  # the lease is another's by now

    renewals(beating, passing, flight(), renew=renew)
    assert len(tries) == 2
    assert tries[1] < LEASE_LIFE
