"""Answers being computed in this process, and who waits for each."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Hashable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias


class NotShared(Enum):
    """What lands when there is no answer for those who wait."""

    FAILED = "failed"
    """Nothing came of it: one of those who wait computes the answer instead."""
    EACH_FOR_ITSELF = "each_for_itself"
    """The answer is not one to store, so it is not one to share either."""


Landing: TypeAlias = str | NotShared
"""An entry's text, or why there is none."""


@dataclass(eq=False, slots=True, weakref_slot=True)
class Flight:
    """One answer being computed; ``until`` is when, by the monotonic clock, it is given up on.

    ``lease`` is the token under which this process is the fleet's only writer of it, if it is, and
    ``held`` until when that stands in Redis.
    """

    about: Hashable
    until: float
    lease: str | None = None
    held: float = 0.0
    landed: Future[Landing] = field(default_factory=Future)

    def __post_init__(self) -> None:
        self.landed.set_running_or_notify_cancel()  # one who waits no longer cancels nothing

    @property
    def flying(self) -> bool:
        """Whether the answer is still to come."""
        return not self.landed.done()

    @property
    def awaited(self) -> bool:
        """Whether other callers may be waiting for it."""
        return self.flying and self.left() > 0

    def take(self, lease: str, seconds: float, held: float) -> None:
        """Note the lease under which the fleet waits for it, for ``seconds`` from now.

        In Redis it stands for ``held`` seconds, unless it is renewed.
        """
        now = time.monotonic()
        self.lease, self.until, self.held = lease, now + seconds, now + held

    def renewed(self, held: float) -> None:
        """Note that the lease stands in Redis for ``held`` seconds from now."""
        self.held = time.monotonic() + held

    def left(self) -> float:
        """Return the seconds after which nobody waits for it any more."""
        return self.until - time.monotonic()


class Claim:
    """The right to land a flight, and the duty.

    It is kept in the context that looked the answer up. When a model call fails, LangChain tells
    no cache; but its context goes, and with it the claim.
    """

    __slots__ = ("__weakref__", "flight")

    def __init__(self, flight: Flight) -> None:
        self.flight = flight


class Flights:
    """The flights of one cache. Threads and event loops may share it."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a claim may be collected while a method runs
        self._current: dict[Hashable, Flight] = {}

    def join(self, about: Hashable, seconds: float, mine: Claim | None) -> Claim | Flight:
        """Return a claim on a flight of at most ``seconds``, or the flight of who has it.

        ``mine`` is a claim from an earlier try in the same context, which this one goes on from.
        """
        with self._lock:
            current = self._current.get(about)
            again = mine is not None and mine.flight is current
            if current and current.awaited and not again:
                return current
            flight = self._current[about] = _next(about, seconds, current)
        if current:
            _end(current, NotShared.FAILED)
        claim = Claim(flight)
        weakref.finalize(claim, self._abandon, flight).atexit = False
        return claim

    def land(self, flight: Flight, landing: Landing) -> None:
        """Give those who wait what there is."""
        with self._lock:
            self._forget(flight)
        _end(flight, landing)

    def leave(self, flight: Flight) -> str | None:
        """End a flight that has not landed; return its lease if nobody has taken that over."""
        with self._lock:
            lease = flight.lease if self._forget(flight) else None
        _end(flight, NotShared.FAILED)
        return lease

    def start_fresh(self) -> None:
        """Let go of the parent's calls in a process that was forked; no lock of it is ours."""
        self._lock = threading.RLock()
        for flight in self._current.values():
            flight.lease, flight.landed = None, Future()
            flight.landed.set_result(NotShared.FAILED)
        self._current = {}

    def _abandon(self, flight: Flight) -> None:
        """End a flight whose claim is gone; its lease stays for who goes on."""
        with self._lock:
            if flight.lease is None:
                self._forget(flight)
        _end(flight, NotShared.FAILED)

    def _forget(self, flight: Flight) -> bool:
        if self._current.get(flight.about) is not flight:
            return False
        del self._current[flight.about]
        return True


def _next(about: Hashable, seconds: float, last: Flight | None) -> Flight:
    """Return a flight that goes on under the lease of the last, for as long as that has left."""
    if last and last.lease and min(last.held, last.until) > time.monotonic():
        return Flight(about, last.until, last.lease, last.held)
    return Flight(about, time.monotonic() + seconds)


def _end(flight: Flight, landing: Landing) -> None:
    with suppress(InvalidStateError):  # it has landed already
        flight.landed.set_result(landing)
