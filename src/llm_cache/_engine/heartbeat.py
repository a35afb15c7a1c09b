"""Renews the leases of this process while its leaders compute.

A lease then lasts as long as a slow model call; a dead leader is replaced within ``LEASE_LIFE``.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from llm_cache._protocol.in_flight import InFlightCall
from llm_cache._protocol.leases import LEASE_LIFE

RENEW_EVERY = LEASE_LIFE / 3  # seconds: a lease survives two failed renewals


class Renewal(NamedTuple):
    """A renewal that is due at ``at``, by the monotonic clock.

    ``renew`` returns whether the lease is still held.
    """

    at: float
    call: InFlightCall
    renew: Callable[[], bool]


@dataclass(slots=True)
class Heartbeat:
    """Renews the leases of one cache in one thread, which ends when no lease is left."""

    sleep: Callable[[float], None] = time.sleep
    _due: deque[Renewal] = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _thread: threading.Thread | None = None

    def keep(self, call: InFlightCall, renew: Callable[[], bool]) -> None:
        """Renew the lease of a call until the call ends or no caller may wait for it.

        A renewal that raises is retried. A call that ends before the first renewal costs nothing.
        """
        if call.deadline <= call.lease_expires:
            return  # the lease outlasts the wait
        with self._lock:
            self._due.append(Renewal(time.monotonic() + RENEW_EVERY, call, renew))
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, daemon=True)
                self._thread.start()

    def start_fresh(self) -> None:
        """Forget the leases of the parent, in a forked process."""
        self._due, self._lock, self._thread = deque(), threading.Lock(), None

    def _work(self) -> None:
        while renewal := self._next():
            self.sleep(max(0.0, renewal.at - time.monotonic()))
            if renewal.call.awaited and _renewed(renewal):
                self.keep(renewal.call, renewal.renew)

    def _next(self) -> Renewal | None:
        """Return the next renewal; the queue is in the order of their times."""
        with self._lock:
            if self._due:
                return self._due.popleft()
            self._thread = None
            return None


def _renewed(renewal: Renewal) -> bool:
    with suppress(Exception):
        return renewal.renew()
    return True
