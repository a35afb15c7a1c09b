"""Which callers of one process lead and which wait, and what each end of a call does."""

import gc
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from tests.clock import Clock

from llm_cache._protocol.in_flight import InFlightCall, InFlightCalls, Leader, NotShared, Result

SECONDS = 10.0  # of a call
TOKEN = "token"


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock(100.0)
    time = SimpleNamespace(monotonic=clock)
    monkeypatch.setattr("llm_cache._protocol.in_flight.time", time)
    return clock


class Calls(InFlightCalls):
    """In-flight calls that note the tokens of the leases that their leaders release."""

    def __init__(self) -> None:
        super().__init__()
        self.released: list[str] = []

    def joined(self, previous: Leader | None = None) -> Leader | InFlightCall:
        return self.join("p", SECONDS, self.released.append, previous)

    def lead(self, previous: Leader | None = None) -> Leader:
        leader = self.joined(previous)
        assert isinstance(leader, Leader)
        return leader

    def lead_with_lease(self, lifetime: float = SECONDS) -> Leader:
        leader = self.lead()
        leader.call.lease_taken(TOKEN, SECONDS, lifetime)
        return leader

    def collected(self, lifetime: float) -> InFlightCall:
        """Return the call of a leader with a lease that was collected."""
        leader = self.lead_with_lease(lifetime)
        call = leader.call
        del leader
        gc.collect()
        return call


@pytest.fixture
def calls() -> Calls:
    return Calls()


def test_first_caller_leads_and_the_others_wait_for_its_call(calls: Calls) -> None:
    leader = calls.lead()
    assert calls.joined() is calls.joined() is leader.call
    assert not leader.call.result.cancel()  # by a waiter that gives up
    assert leader.call.pending
    assert isinstance(calls.join("another", SECONDS, print, None), Leader)


@pytest.mark.parametrize("result", ["text", NotShared.UNCACHEABLE, NotShared.FAILED])
def test_first_result_ends_the_call(calls: Calls, result: Result) -> None:
    leader = calls.lead_with_lease()
    leader.complete(result)
    leader.complete("later")
    assert not calls._current
    assert calls.lead().call.lease is None
    leader.close()
    assert leader.call.result.result() == result
    assert calls.released == [TOKEN]


@pytest.mark.parametrize(("later", "left"), [(0, 10), (9.5, 0.5), (10, 0), (11, -1)])
def test_call_is_replaced_after_its_seconds(
    calls: Calls, clock: Clock, later: float, left: float
) -> None:
    late, replaced = calls.lead(), left <= 0
    clock.now += later
    assert late.call.seconds_left() == left
    assert late.call.awaited == (not replaced)
    joined = calls.joined()
    assert isinstance(joined, Leader) == replaced
    assert late.call.pending == (not replaced)
    if isinstance(joined, Leader):
        assert late.call.result.result() is NotShared.FAILED
        assert joined.call.seconds_left() == SECONDS
        assert calls.joined() is joined.call


def test_replaced_leader_ends_no_call_but_its_own(calls: Calls, clock: Clock) -> None:
    late = calls.lead_with_lease()
    clock.now += SECONDS
    successor = calls.lead()
    assert successor.call.lease is None  # the lease has expired too
    assert calls.joined(late) is successor.call
    late.complete("late")
    late.close()
    del late
    gc.collect()
    assert calls.joined() is successor.call
    assert successor.call.pending


def test_collected_leader_without_a_lease_leaves_nothing(calls: Calls) -> None:
    leader = calls.lead()
    call = leader.call
    del leader
    gc.collect()
    assert call.result.result() is NotShared.FAILED
    assert not calls._current


@pytest.mark.parametrize(
    ("lifetime", "renewed", "later", "lease"),
    [
        (SECONDS, None, 4, TOKEN),
        (SECONDS, None, SECONDS, None),
        (3, None, 4, None),
        (1, 5, 4, TOKEN),
        (SECONDS, 2 * SECONDS, SECONDS, None),
    ],
)
def test_lease_of_a_collected_leader_passes_to_the_next_while_it_is_valid(
    calls: Calls,
    clock: Clock,
    lifetime: float,
    renewed: float | None,
    later: float,
    lease: str | None,
) -> None:
    call = calls.collected(lifetime)
    if renewed:
        call.lease_renewed(renewed)
    clock.now += later
    successor = calls.lead().call
    assert successor.lease == lease
    assert successor.deadline == (call.deadline if lease else clock.now + SECONDS)


def test_lease_that_was_taken_late_extends_the_wait(calls: Calls, clock: Clock) -> None:
    leader = calls.lead()
    clock.now += SECONDS - 1
    leader.call.lease_taken(TOKEN, SECONDS, SECONDS)
    clock.now += SECONDS - 1
    assert calls.joined() is leader.call
    assert leader.call.seconds_left() == 1


def test_leader_collected_after_its_result_changes_nothing(calls: Calls) -> None:
    leader = calls.lead()
    call = leader.call
    leader.complete("text")
    successor = calls.lead()
    del leader
    gc.collect()
    assert call.result.result() == "text"
    assert calls.joined() is successor.call


@pytest.mark.parametrize("leased", [False, True])
def test_retry_continues_the_call_of_its_own_leader(
    calls: Calls, clock: Clock, leased: bool
) -> None:
    first = calls.lead_with_lease() if leased else calls.lead()
    clock.now += 4
    retry = calls.lead(first)
    assert retry.call.lease == (TOKEN if leased else None)
    assert retry.call.seconds_left() == (SECONDS - 4 if leased else SECONDS)
    assert first.call.result.result() is NotShared.FAILED
    assert calls.joined() is retry.call
    first.close()
    assert calls.released == []
    retry.close()
    assert calls.released == ([TOKEN] if leased else [])


def test_closed_leader_releases_its_lease_once_and_the_next_leads(calls: Calls) -> None:
    with calls.lead_with_lease() as leader:
        assert leader.call.pending
    leader.close()
    assert leader.call.result.result() is NotShared.FAILED
    assert calls.lead().call.lease is None
    assert calls.released == [TOKEN]


def test_closed_leader_releases_no_lease_that_it_does_not_hold(calls: Calls) -> None:
    calls.lead().close()
    with calls.lead_with_lease() as stored:
        assert stored.take_lease() == TOKEN
    assert calls.released == []


def test_call_of_a_collected_leader_can_be_closed(calls: Calls) -> None:
    released: list[str] = []
    calls.close(calls.collected(SECONDS), released.append)
    assert released == [TOKEN]
    assert not calls._current


def test_forked_process_leaves_calls_and_leases_to_its_parent(calls: Calls) -> None:
    leader = calls.lead_with_lease()
    calls.start_fresh()
    assert leader.call.result.result() is NotShared.FAILED
    leader.close()
    assert calls.released == []
    assert calls.lead().call.lease is None


def ends(work: Callable[[], object]) -> bool:
    """Run ``work`` in a thread; return whether it ends."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(60)
    return not thread.is_alive()


def test_leader_may_be_collected_while_a_method_runs(calls: Calls) -> None:
    leaders = [calls.lead()]

    def collect() -> None:
        with calls._lock:
            leaders.clear()

    assert ends(collect)


def test_callback_of_a_result_may_join_in_another_thread(calls: Calls) -> None:
    """A callback runs in the leader's thread, which therefore holds no lock."""
    leader = calls.lead()
    joined: list[bool] = []
    leader.call.result.add_done_callback(lambda _: joined.append(ends(calls.lead)))
    leader.complete(NotShared.FAILED)
    assert joined == [True]


def test_one_of_many_threads_leads(calls: Calls) -> None:
    together = threading.Barrier(16)

    def join(_: int) -> Leader | InFlightCall:
        together.wait()
        return calls.joined()

    with ThreadPoolExecutor(16) as pool:
        for _ in range(50):
            joined = list(pool.map(join, range(16)))
            (leader,) = [one for one in joined if isinstance(one, Leader)]
            assert all(one in (leader, leader.call) for one in joined)
            leader.complete("text")


AT_EXIT = """
import atexit
from llm_cache._protocol.in_flight import InFlightCalls
calls = InFlightCalls()
atexit.register(lambda: print(leader.call.pending))
leader = calls.join("p", 10, print, None)
atexit.register(lambda: print("exit"))
"""


def test_exit_of_the_interpreter_wakes_no_waiter() -> None:
    """A waiter that woke would call the model while the interpreter shuts down."""
    command = [sys.executable, "-c", AT_EXIT]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["exit", "True"]
