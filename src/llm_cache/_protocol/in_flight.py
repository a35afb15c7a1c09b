"""Single flight within one process: the calls in flight, each with a leader that computes it."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Hashable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import Self, TypeAlias


class NotShared(Enum):
    """Why an in-flight call ended without an answer for its waiters."""

    FAILED = "failed"
    """There is no answer: one of the waiters becomes the leader."""
    UNCACHEABLE = "uncacheable"
    """The answer is neither stored nor shared: each waiter calls the model."""


Result: TypeAlias = str | NotShared
"""The text of an entry, or why there is none."""
Cleanup: TypeAlias = Callable[[str], None]
"""Releases the lease with this token. Best effort: it does not raise."""


@dataclass(eq=False, slots=True, weakref_slot=True)
class InFlightCall:
    """An answer that one leader computes while other callers wait.

    ``deadline`` is the time, by the monotonic clock, after which no caller waits. ``lease`` is the
    token of the fleet's lease, if the leader holds it, and ``lease_expires`` when it expires in
    Redis. ``epochs`` are those that the leader saw.
    """

    identity: Hashable
    deadline: float
    lease: str | None = None
    lease_expires: float = 0.0
    epochs: tuple[str | None, ...] = ()
    result: Future[Result] = field(default_factory=Future)

    def __post_init__(self) -> None:
        self.result.set_running_or_notify_cancel()  # a waiter that gives up cancels nothing

    @property
    def pending(self) -> bool:
        """Whether the leader has not finished."""
        return not self.result.done()

    @property
    def awaited(self) -> bool:
        """Whether other callers may wait for the answer."""
        return self.pending and self.seconds_left() > 0

    def seconds_left(self) -> float:
        """Return the seconds until no caller waits."""
        return self.deadline - time.monotonic()

    def lease_taken(self, token: str, seconds: float, lifetime: float) -> None:
        """Record that the lease was taken: its leader has ``seconds``, renewals included."""
        now = time.monotonic()
        self.lease, self.deadline, self.lease_expires = token, now + seconds, now + lifetime

    def lease_renewed(self, lifetime: float) -> None:
        """Record that the lease stays in Redis for ``lifetime`` seconds from now."""
        self.lease_expires = time.monotonic() + lifetime


class Leader:
    """Ownership of an in-flight call: the holder completes it, and closes it in any case.

    ::

        lead ─▶ pending ─┬─ complete(entry) ──────▶ shared       waiters return the entry
                         ├─ complete(UNCACHEABLE) ▶ uncacheable  each waiter calls the model
                         └─ close, or deadline ───▶ failed       one waiter becomes the leader

    A ``with`` block closes it. LangChain does not report failed model calls to a cache, so the
    leader is also closed when its policy block ends, when the context that holds it is collected,
    and in a forked process. Closing releases the lease, unless the store has released it or a later
    leader of this process has taken it over.
    """

    __slots__ = ("__weakref__", "_calls", "_release", "call")

    def __init__(self, calls: InFlightCalls, call: InFlightCall, release: Cleanup) -> None:
        self.call = call
        self._calls = calls
        self._release = release

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def complete(self, result: Result) -> None:
        """Give the waiters the result; later results are ignored."""
        self._calls.complete(self.call, result)

    def take_lease(self) -> str | None:
        """Return the lease if it is still held; the caller releases it."""
        return self._calls.take_lease(self.call)

    def close(self) -> None:
        """Fail the call unless it is complete, and release the lease if it is still held."""
        self._calls.close(self.call, self._release)


class InFlightCalls:
    """The calls in flight of one cache. Threads and event loops may share it."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a leader may be collected while a method runs
        self._current: dict[Hashable, InFlightCall] = {}

    def join(
        self,
        identity: Hashable,
        seconds: float,
        release: Cleanup,
        previous: Leader | None,
        epochs: tuple[str | None, ...] = (),
    ) -> Leader | InFlightCall:
        """Lead a new call for at most ``seconds``, or return the call that another caller leads.

        ``previous`` is the leader of an earlier try in the same context, which this call continues.
        """
        with self._lock:
            current = self._current.get(identity)
            retried = previous is not None and previous.call is current
            if current and current.awaited and not retried:
                return current
            call = self._current[identity] = _successor(identity, seconds, current)
            call.epochs = epochs
        if current:
            _end(current, NotShared.FAILED)
        leader = Leader(self, call, release)
        weakref.finalize(leader, self._collected, call).atexit = False
        return leader

    def complete(self, call: InFlightCall, result: Result) -> None:
        """End a call; later callers start another."""
        with self._lock:
            self._forget(call)
        _end(call, result)

    def close(self, call: InFlightCall, release: Cleanup) -> None:
        """Fail a call unless it is complete, and release its lease if it is still held."""
        self.complete(call, NotShared.FAILED)
        if lease := self.take_lease(call):
            release(lease)

    def take_lease(self, call: InFlightCall) -> str | None:
        """Return the lease of a call, once; the caller must then release it."""
        with self._lock:
            lease, call.lease = call.lease, None
        return lease

    def start_fresh(self) -> None:
        """Forget the calls of the parent, in a forked process: the parent keeps their leases."""
        self._lock = threading.RLock()
        for call in self._current.values():
            call.lease, call.result = None, Future()
            call.result.set_result(NotShared.FAILED)
        self._current = {}

    def _collected(self, call: InFlightCall) -> None:
        """Fail a call whose leader was collected; its lease is kept for the next leader."""
        with self._lock:
            if call.lease is None:
                self._forget(call)
        _end(call, NotShared.FAILED)

    def _forget(self, call: InFlightCall) -> None:
        if self._current.get(call.identity) is call:
            del self._current[call.identity]


def _successor(identity: Hashable, seconds: float, last: InFlightCall | None) -> InFlightCall:
    """Return a new call, which takes over the lease of the last one while that is valid."""
    if last and last.lease and min(last.lease_expires, last.deadline) > time.monotonic():
        lease, last.lease = last.lease, None
        return InFlightCall(identity, last.deadline, lease, last.lease_expires)
    return InFlightCall(identity, time.monotonic() + seconds)


def _end(call: InFlightCall, result: Result) -> None:
    with suppress(InvalidStateError):  # it has ended already
        call.result.set_result(result)
