"""Who computes an answer in one process, who waits, and what each way of ending does."""

import gc
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from llm_cache._protocol.in_flight import InFlightCall, InFlightCalls, Landing, Leader, NotShared

LEASE = 10.0  # seconds


@dataclass
class Clock:
    """Stands in for the module ``time``."""

    now: float = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("llm_cache._protocol.in_flight.time", clock)
    return clock


@pytest.fixture
def flights() -> InFlightCalls:
    return InFlightCalls()


def lead(flights: InFlightCalls, mine: Leader | None = None, about: str = "p") -> Leader:
    joined = flights.join(about, LEASE, mine)
    assert isinstance(joined, Leader)
    return joined


def wait(flights: InFlightCalls, mine: Leader | None = None, about: str = "p") -> InFlightCall:
    joined = flights.join(about, LEASE, mine)
    assert isinstance(joined, InFlightCall)
    return joined


def test_the_first_leads_and_the_others_wait_for_its_flight(flights: InFlightCalls) -> None:
    claim = lead(flights)
    assert wait(flights) is wait(flights) is claim.flight
    assert claim.flight.flying


def test_what_is_about_something_else_flies_by_itself(flights: InFlightCalls) -> None:
    one, other = lead(flights, about="p"), lead(flights, about="q")
    flights.land(one.flight, "text")
    assert wait(flights, about="q") is other.flight


@pytest.mark.parametrize("landing", ["text", NotShared.EACH_FOR_ITSELF, NotShared.FAILED])
def test_a_landing_reaches_those_who_wait_and_the_next_leads(
    flights: InFlightCalls, landing: Landing
) -> None:
    claim = lead(flights)
    claim.flight.take("token", LEASE, LEASE)
    waiting = wait(flights)
    flights.land(claim.flight, landing)
    assert not waiting.flying
    assert waiting.landed.result() == landing
    assert not flights._current
    assert lead(flights).flight.lease is None


def test_a_flight_lands_once(flights: InFlightCalls) -> None:
    claim = lead(flights)
    flights.land(claim.flight, "text")
    flights.land(claim.flight, "other")
    assert flights.leave(claim.flight) is None
    assert claim.flight.landed.result() == "text"


def test_one_who_waits_no_longer_cancels_nothing(flights: InFlightCalls) -> None:
    claim = lead(flights)
    assert not wait(flights).landed.cancel()
    flights.land(claim.flight, "text")
    assert claim.flight.landed.result() == "text"


@pytest.mark.parametrize(("later", "left"), [(0, LEASE), (4, LEASE - 4), (11, -1)])
def test_a_flight_is_given_up_on_after_its_seconds(
    flights: InFlightCalls, clock: Clock, later: float, left: float
) -> None:
    claim = lead(flights)
    clock.now += later
    assert claim.flight.left() == left


@pytest.mark.parametrize(("later", "taken_over"), [(LEASE - 0.1, False), (LEASE, True)])
def test_a_flight_past_its_time_is_taken_over_and_not_before(
    flights: InFlightCalls, clock: Clock, later: float, taken_over: bool
) -> None:
    late = lead(flights)
    clock.now += later
    joined = flights.join("p", LEASE, None)
    assert isinstance(joined, Leader) == taken_over
    assert late.flight.flying == (not taken_over)
    if isinstance(joined, Leader):
        assert late.flight.landed.result() is NotShared.FAILED
        assert joined.flight.left() == LEASE
        assert wait(flights) is joined.flight


def test_one_that_was_taken_over_ends_nothing_but_itself(
    flights: InFlightCalls, clock: Clock
) -> None:
    late = lead(flights)
    late.flight.take("of the late one", LEASE, LEASE)
    clock.now += LEASE
    successor = lead(flights)
    assert flights.leave(late.flight) is None
    flights.land(late.flight, "late")
    assert wait(flights) is successor.flight
    assert successor.flight.flying


def test_a_lease_is_not_taken_over_once_its_time_is_up(
    flights: InFlightCalls, clock: Clock
) -> None:
    late = lead(flights)
    late.flight.take("token", LEASE, LEASE)
    clock.now += LEASE
    assert lead(flights).flight.lease is None


def test_a_claim_that_is_collected_lets_the_next_lead(flights: InFlightCalls) -> None:
    claim = lead(flights)
    waiting = wait(flights)
    del claim
    gc.collect()
    assert waiting.landed.result() is NotShared.FAILED
    assert lead(flights).flight is not waiting


def test_nothing_is_left_of_a_claim_without_a_lease(flights: InFlightCalls) -> None:
    claim = lead(flights)
    del claim
    gc.collect()
    assert not flights._current


@pytest.mark.parametrize(
    ("held", "later", "lease"), [(LEASE, 4, "token"), (LEASE, LEASE, None), (3, 4, None)]
)
def test_a_lease_outlives_its_claim_and_is_gone_on_under_while_it_stands(
    flights: InFlightCalls, clock: Clock, held: float, later: float, lease: str | None
) -> None:
    claim = lead(flights)
    claim.flight.take("token", LEASE, held)
    until = claim.flight.until
    del claim
    gc.collect()
    clock.now += later
    next_one = lead(flights)
    assert next_one.flight.lease == lease
    assert next_one.flight.until == (until if lease else clock.now + LEASE)


def test_a_lease_that_was_taken_late_is_waited_for_as_long_as_it_lasts(
    flights: InFlightCalls, clock: Clock
) -> None:
    claim = lead(flights)
    clock.now += LEASE - 1
    claim.flight.take("token", LEASE, LEASE)
    clock.now += LEASE - 1
    assert (wait(flights).lease, wait(flights).left()) == ("token", 1)


def test_a_claim_that_is_collected_after_its_landing_changes_nothing(
    flights: InFlightCalls,
) -> None:
    claim = lead(flights)
    flight = claim.flight
    flights.land(flight, "text")
    successor = lead(flights)
    del claim
    gc.collect()
    assert flight.landed.result() == "text"
    assert wait(flights) is successor.flight


def test_a_context_goes_on_from_its_own_claim(flights: InFlightCalls, clock: Clock) -> None:
    first = lead(flights)
    first.flight.take("token", LEASE, LEASE)
    waiting = wait(flights)
    clock.now += 4
    again = lead(flights, mine=first)
    assert (again.flight.lease, again.flight.left()) == ("token", LEASE - 4)
    assert waiting.landed.result() is NotShared.FAILED
    assert wait(flights) is again.flight


def test_a_context_without_a_lease_starts_its_time_anew(
    flights: InFlightCalls, clock: Clock
) -> None:
    first = lead(flights)
    clock.now += 4
    assert lead(flights, mine=first).flight.left() == LEASE


def test_an_earlier_claim_of_a_context_does_not_end_what_another_leads(
    flights: InFlightCalls, clock: Clock
) -> None:
    mine = lead(flights)
    clock.now += LEASE
    successor = lead(flights)
    assert wait(flights, mine=mine) is successor.flight
    del mine
    gc.collect()
    assert successor.flight.flying


def test_leaving_returns_the_lease_once_and_lets_the_next_lead(flights: InFlightCalls) -> None:
    claim = lead(flights)
    claim.flight.take("token", LEASE, LEASE)
    assert flights.leave(claim.flight) == "token"
    assert flights.leave(claim.flight) is None
    assert claim.flight.landed.result() is NotShared.FAILED
    assert lead(flights).flight.lease is None


def test_leaving_returns_the_lease_of_a_claim_that_was_collected(flights: InFlightCalls) -> None:
    claim = lead(flights)
    flight = claim.flight
    flight.take("token", LEASE, LEASE)
    del claim
    gc.collect()
    assert flights.leave(flight) == "token"
    assert not flights._current


def test_leaving_returns_no_lease_that_another_goes_on_under(flights: InFlightCalls) -> None:
    first = lead(flights)
    first.flight.take("token", LEASE, LEASE)
    again = lead(flights, mine=first)
    assert flights.leave(first.flight) is None
    assert flights.leave(again.flight) == "token"


def test_leaving_without_a_lease_returns_none(flights: InFlightCalls) -> None:
    assert flights.leave(lead(flights).flight) is None


def in_time(work: Callable[[], None]) -> bool:
    """Run ``work`` in a thread; return whether it came to its end."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(60)
    return not thread.is_alive()


def test_a_claim_may_be_collected_while_a_method_runs(flights: InFlightCalls) -> None:
    claims = [lead(flights)]

    def collect() -> None:
        with flights._lock:
            claims.clear()

    assert in_time(collect)


def test_those_who_are_told_may_ask_at_once_who_is_next(flights: InFlightCalls) -> None:
    """A callback runs in the thread that lands, which must hold no lock that another waits for."""
    claim = lead(flights)
    joined: list[Leader] = []

    def join_from_another_thread(_: object) -> None:
        assert in_time(lambda: joined.append(lead(flights)))

    claim.flight.landed.add_done_callback(join_from_another_thread)
    flights.land(claim.flight, NotShared.FAILED)
    assert len(joined) == 1


def test_of_many_threads_one_leads(flights: InFlightCalls) -> None:
    together = threading.Barrier(16)

    def join(_: int) -> Leader | InFlightCall:
        together.wait()
        return flights.join("p", LEASE, None)

    with ThreadPoolExecutor(16) as pool:
        for _ in range(50):
            joined = list(pool.map(join, range(16)))
            (claim,) = [one for one in joined if isinstance(one, Leader)]
            assert all(one in (claim, claim.flight) for one in joined)
            flights.land(claim.flight, "text")


AT_EXIT = """
import atexit
from llm_cache._protocol.in_flight import InFlightCalls
flights = InFlightCalls()
atexit.register(lambda: print(claim.flight.flying))
claim = flights.join("p", 10, None)
atexit.register(lambda: print("exit"))
"""


def test_an_interpreter_that_ends_tells_nobody() -> None:
    """Threads that wait are not woken to ask a model when everything is being taken down."""
    command = [sys.executable, "-c", AT_EXIT]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["exit", "True"]
