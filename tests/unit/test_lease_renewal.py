"""A lease is renewed often enough that one lost renewal does not end it."""

import time

import pytest

from llm_cache import heartbeat
from llm_cache.coalescing import LIFE
from llm_cache.flights import Flight
from llm_cache.heartbeat import Heartbeat
from local_cloud.children import wait_until


class Time:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_renewal_that_is_lost_is_repeated_before_the_lease_lapses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    passing, beating, tries = Time(), Heartbeat(), list[float]()
    monkeypatch.setattr(heartbeat, "time", passing)

    def renew() -> bool:
        tries.append(passing.now)
        if len(tries) == 1:
            raise ConnectionError("lost")
        return False  # the lease is another's by now

    beating.keep(Flight("p", time.monotonic() + 600, "token", time.monotonic() + LIFE), renew)
    wait_until(lambda: beating._thread is None, seconds=10, what="the last renewal")
    assert len(tries) == 2
    assert tries[1] < LIFE
