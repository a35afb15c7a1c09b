"""Shows the fleet that the writers of this process live: their leases are renewed as they compute.

So a lease may be as long as a slow model takes, while a writer that was killed is replaced soon.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from llm_cache._protocol.in_flight import Flight
from llm_cache._protocol.single_flight import LIFE

EACH = LIFE / 3  # seconds: two renewals may fail before a lease lapses


class Beat(NamedTuple):
    """What is due, by the monotonic clock. ``renew`` returns whether it is to be done again."""

    at: float
    flight: Flight
    renew: Callable[[], bool]


@dataclass(slots=True)
class Heartbeat:
    """Renews the leases of one cache, in one thread, which is there while there are any."""

    _beats: deque[Beat] = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _thread: threading.Thread | None = None

    def keep(self, flight: Flight, renew: Callable[[], bool]) -> None:
        """Renew the lease of a flight for as long as it flies and is waited for.

        A renewal that raises is tried again. Costs nothing before the first of them is due.
        """
        if flight.until <= flight.held:
            return  # it stands in Redis for as long as anybody would wait
        with self._lock:
            self._beats.append(Beat(time.monotonic() + EACH, flight, renew))
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, daemon=True)
                self._thread.start()

    def start_fresh(self) -> None:
        """Leave the parent's leases to the parent in a process that was forked."""
        self._beats, self._lock, self._thread = deque(), threading.Lock(), None

    def _work(self) -> None:
        while beat := self._next():
            time.sleep(max(0.0, beat.at - time.monotonic()))
            if beat.flight.awaited and _renewed(beat):
                self.keep(beat.flight, beat.renew)

    def _next(self) -> Beat | None:
        """Return what is due next: they are all due after the same time."""
        with self._lock:
            if self._beats:
                return self._beats.popleft()
            self._thread = None
            return None


def _renewed(beat: Beat) -> bool:
    with suppress(Exception):
        return beat.renew()
    return True
