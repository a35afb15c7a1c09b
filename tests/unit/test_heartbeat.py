"""How often a lease is renewed, and when no more."""

import time
from collections.abc import Callable

import pytest

from llm_cache import heartbeat
from llm_cache.flights import Flight, NotShared
from llm_cache.heartbeat import Heartbeat
from local_cloud.children import wait_until

EACH = 0.05  # seconds


@pytest.fixture
def beating(monkeypatch: pytest.MonkeyPatch) -> Heartbeat:
    monkeypatch.setattr(heartbeat, "EACH", EACH)
    return Heartbeat()


def flight(seconds: float = 60.0, held: float = 10.0) -> Flight:
    now = time.monotonic()
    return Flight("p", now + seconds, "token", now + held)


def renewals(beating: Heartbeat, *flights: Flight, renew: Callable[[int], bool]) -> list[int]:
    """Keep the flights until nothing is due; return which was renewed, in order."""
    renewed: list[int] = []

    def work(number: int) -> bool:
        renewed.append(number)
        return renew(len(renewed))

    for number, one in enumerate(flights):
        beating.keep(one, lambda number=number: work(number))  # type: ignore[misc]
    wait_until(lambda: beating._thread is None, seconds=10, what="the last of them")
    return renewed


def test_leases_are_renewed_in_turn_until_they_are_another_s(beating: Heartbeat) -> None:
    renewed = renewals(beating, flight(), flight(), renew=lambda count: count < 5)
    assert renewed == [0, 1, 0, 1, 0, 1]


def test_one_that_has_landed_is_renewed_no_more(beating: Heartbeat) -> None:
    landed, one = flight(), flight()

    def renew(count: int) -> bool:
        if count == 3:
            landed.landed.set_result(NotShared.FAILED)
        return count < 5

    assert renewals(beating, landed, one, renew=renew) == [0, 1, 0, 1, 1]


def test_one_that_nobody_waits_for_any_more_is_renewed_no_more(beating: Heartbeat) -> None:
    short = flight(2.5 * EACH, held=0.0)
    assert 1 <= len(renewals(beating, short, renew=lambda _: True)) <= 2


def test_a_renewal_that_fails_is_tried_again(beating: Heartbeat) -> None:
    def renew(count: int) -> bool:
        if count < 3:
            raise RuntimeError("no connection")
        return False

    assert renewals(beating, flight(), renew=renew) == [0, 0, 0]


def test_a_lease_that_stands_as_long_as_anybody_waits_needs_no_thread(beating: Heartbeat) -> None:
    assert renewals(beating, flight(5.0, held=5.0), renew=lambda _: True) == []


def test_after_a_pause_it_beats_again(beating: Heartbeat) -> None:
    for _ in range(2):
        assert renewals(beating, flight(), renew=lambda _: False) == [0]
