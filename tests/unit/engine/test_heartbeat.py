"""The heartbeat of leases; the test lets the time of its thread pass."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from llm_cache._engine.heartbeat import RENEW_EVERY, Heartbeat
from llm_cache._protocol.in_flight import InFlightCall, NotShared
from llm_cache._protocol.leases import LEASE_LIFE

Renew = Callable[[int], bool]


@dataclass
class Sleep:
    """Returns at once, but not before the test lets the heartbeat begin."""

    begin: threading.Event = field(default_factory=threading.Event)
    seconds: list[float] = field(default_factory=list)

    def __call__(self, seconds: float) -> None:
        assert self.begin.wait(60)
        self.seconds.append(seconds)


@pytest.fixture
def sleep() -> Sleep:
    return Sleep()


@pytest.fixture
def heartbeat(sleep: Sleep) -> Heartbeat:
    return Heartbeat(sleep)


def in_flight(seconds: float = 600.0, lifetime: float = LEASE_LIFE) -> InFlightCall:
    call = InFlightCall("p", 0.0)
    call.lease_taken("token", seconds, lifetime)
    return call


def renewals(heartbeat: Heartbeat, renew: Renew, *calls: InFlightCall) -> list[int]:
    """Keep the leases of ``calls`` to the end of the thread; return the numbers of the renewed."""
    renewed: list[int] = []

    def of(number: int) -> Callable[[], bool]:
        def count() -> bool:
            renewed.append(number)
            return renew(len(renewed))

        return count

    assert isinstance(heartbeat.sleep, Sleep)
    heartbeat.sleep.begin.clear()
    for number, call in enumerate(calls):
        heartbeat.keep(call, of(number))
    thread = heartbeat._thread
    heartbeat.sleep.begin.set()
    if thread:
        thread.join(60)
    assert heartbeat._thread is None
    return renewed


def test_leases_are_renewed_in_turn_until_another_process_holds_them(heartbeat: Heartbeat) -> None:
    renewed = renewals(heartbeat, lambda count: count < 5, in_flight(), in_flight())
    assert renewed == [0, 1, 0, 1, 0, 1]


def test_lease_of_a_completed_call_is_not_renewed(heartbeat: Heartbeat) -> None:
    completed = in_flight()

    def renew(count: int) -> bool:
        if count == 3:
            completed.result.set_result(NotShared.FAILED)
        return count < 5

    assert renewals(heartbeat, renew, completed, in_flight()) == [0, 1, 0, 1, 1]


def test_lease_is_not_renewed_after_the_deadline_of_its_call(heartbeat: Heartbeat) -> None:
    call = in_flight()

    def renew(count: int) -> bool:
        call.deadline -= 600.0 * (count == 2)
        return True

    assert renewals(heartbeat, renew, call) == [0, 0]


def test_failed_renewal_is_retried_before_the_lease_expires(
    heartbeat: Heartbeat, sleep: Sleep
) -> None:
    def renew(count: int) -> bool:
        if count < 3:
            raise ConnectionError("lost")
        return False

    assert renewals(heartbeat, renew, in_flight()) == [0, 0, 0]
    assert all(0.0 < seconds <= RENEW_EVERY for seconds in sleep.seconds)
    assert sum(sleep.seconds[:2]) < LEASE_LIFE


def test_lease_that_outlasts_every_wait_starts_no_thread(heartbeat: Heartbeat) -> None:
    assert renewals(heartbeat, lambda _: True, in_flight(5.0, lifetime=5.0)) == []


def test_heartbeat_that_has_ended_starts_again(heartbeat: Heartbeat) -> None:
    for _ in range(2):
        assert renewals(heartbeat, lambda _: False, in_flight()) == [0]
