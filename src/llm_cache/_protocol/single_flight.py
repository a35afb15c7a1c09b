"""Single flight: one caller computes a missing answer, and the other callers wait for it.

Within a process the waiters wait for the in-flight call. Across the fleet they poll the lease.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Generic, NamedTuple, TypeVar

from llm_cache._entries.keys import STORE_MARK
from llm_cache._errors import StoreError, UnreadableEntry
from llm_cache._policy.modes import Coalesce
from llm_cache._protocol import leases
from llm_cache._protocol.effects import Operation, Pause
from llm_cache._protocol.in_flight import Cleanup, InFlightCall, InFlightCalls, Leader, NotShared
from llm_cache._protocol.lookup import Epochs, Hit, Miss, examine, judge
from llm_cache._protocol.request import Request
from llm_cache._reasons import Reason

T = TypeVar("T")


class SingleFlight(NamedTuple):
    """How one lookup joins single flight.

    ``lease``: seconds until waiters give up on a leader. ``token``: the lease's token if this
    lookup leads. ``patience`` returns the seconds that this lookup may still wait. ``release``
    releases a lease. ``previous``: the leader of an earlier try in the same context.
    """

    calls: InFlightCalls
    lease: float
    token: str
    patience: Callable[[], float]
    release: Cleanup
    previous: Leader | None = None


class Compute(NamedTuple, Generic[T]):
    """The caller computes the answer; with a ``leader``, other callers wait for it."""

    miss: Miss[T]
    leader: Leader | None = None
    failure: StoreError | None = None


def lead_or_wait(
    request: Request[T], miss: Miss[T], flight: SingleFlight
) -> Operation[Hit[T] | Compute[T]]:
    """Return the answer of another caller, or ``Compute``: this caller calls the model.

    Within the process: no command. Across the fleet: one command takes the lease; each waiter polls
    with one command, after pauses that double from 50 ms to one second.
    """
    identity = (request.key, request.tags, _clears(miss.epochs))
    while True:
        joined = flight.calls.join(
            identity, flight.lease, flight.release, flight.previous, miss.epochs
        )
        if isinstance(joined, Leader):
            if request.policy.effective_coalesce is Coalesce.PROCESS or joined.call.lease:
                return Compute(miss, joined)
            return (yield from _across_the_fleet(request, miss, flight, joined))
        if flight.patience() <= 0 or not _began_after_clears(joined.epochs, miss.epochs):
            return Compute(miss)
        yield Pause(min(flight.patience(), joined.seconds_left()), joined.result)
        if found := _shared(request, miss, joined):
            return found


def _clears(epochs: Epochs) -> Epochs:
    """Return the epochs that clears have set; None for those that a store has set."""
    return tuple(None if epoch and epoch.startswith(STORE_MARK) else epoch for epoch in epochs)


def _began_after_clears(leader: Epochs, waiter: Epochs) -> bool:
    """Whether no clear can have come between the lookups of a leader and of a waiter.

    If the leader saw another epoch than the waiter, and no clear has set the waiter's, then a clear
    may have come between them whose epoch was evicted.
    """
    changes = zip(leader, waiter, _clears(waiter), strict=True)
    return all(clear or seen in (None, epoch) for seen, epoch, clear in changes)


def _shared(request: Request[T], miss: Miss[T], call: InFlightCall) -> Hit[T] | Compute[T] | None:
    """Return the result of a call for its waiter; None: the waiter may become the leader."""
    result = NotShared.FAILED if call.pending else call.result.result()
    if result is NotShared.FAILED:
        return None
    if result is NotShared.UNCACHEABLE:
        return Compute(miss)
    try:
        found = judge(request, miss.epochs, result)
    except UnreadableEntry:
        return Compute(miss)
    return found if isinstance(found, Hit) else Compute(miss)


def _across_the_fleet(
    request: Request[T], miss: Miss[T], flight: SingleFlight, leader: Leader
) -> Operation[Hit[T] | Compute[T]]:
    """Take the lease, or wait for the process that holds it."""
    for pause in _pauses():
        try:
            attempt = yield from leases.take(request, flight.token, flight.lease)
            if attempt.state == leases.TAKEN:
                _record_lease(leader, flight)
            leader.call.epochs = attempt.epochs
            found = yield from examine(request, attempt.epochs, attempt.text)
        except StoreError as error:
            _record_lease(leader, flight)  # the command may have run: the lease must be released
            return Compute(miss, leader, error)
        except GeneratorExit:  # cancelled: the command may have run
            _record_lease(leader, flight)
            leader.close()
            raise
        if isinstance(found, Hit):
            yield from _share_found(request, leader, found.text)
            return found
        if found.reason is Reason.UNKNOWN and miss.reason in {Reason.UNREADABLE, Reason.FORGED}:
            found = found._replace(reason=miss.reason)  # the lookup itself has deleted the entry
        miss = found
        if attempt.state == leases.TAKEN or flight.patience() <= 0:
            return Compute(miss, leader)
        if attempt.state == leases.UNCACHEABLE:
            leader.complete(NotShared.UNCACHEABLE)
            return Compute(miss)
        yield Pause(min(pause, flight.patience()))
    raise AssertionError("unreachable")


def _share_found(request: Request[T], leader: Leader, text: str) -> Operation[None]:
    """Give the waiters an entry of another process, and release the lease that was not needed."""
    leader.complete(text)
    with leader:  # cancelled: the command may not have run
        if leader.call.lease:
            with suppress(StoreError):  # the lease expires by itself
                yield from leases.release(request, leader.call.lease)
            leader.take_lease()


def _record_lease(leader: Leader, flight: SingleFlight) -> None:
    leader.call.lease_taken(flight.token, flight.lease, leases.lifetime(flight.lease))


def _pauses() -> Iterator[float]:
    pause = 0.05
    while True:
        yield pause
        pause = min(2 * pause, 1.0)
