"""A circuit breaker: after repeated failures, no request is sent to Upstash for a while.

Each process has its own. Without it, a hanging Upstash would cost every call its timeout.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from llm_cache._checks import above_zero, function
from llm_cache._circuit import Circuit
from llm_cache._errors import CircuitOpen, QuotaExceeded, StoreRefused

logger = logging.getLogger(__name__)
MAX_RETRY_AFTER = 300.0  # seconds; a quota can be raised at any moment


class Breaker:
    """Opens for ``seconds`` after ``failures`` in a row, then admits a single command, the probe.

    - Overlapping commands fail for one reason, so their failures count once: a failure counts if
      its command began after the last counted failure ended.
    - A command that took longer than ``slow`` seconds counts as a failure.
    - A refused command is no failure: Upstash replies, and replies fast.
    - A used-up quota opens it at once, because Upstash refuses all commands then: for the reply's
      ``Retry-After`` (at most ``MAX_RETRY_AFTER``), else for ``seconds``.

    With ``math.inf`` failures it never opens. Threads may share it. Raises ``InvalidSettings`` for
    a bound that is not positive.
    """

    def __init__(
        self,
        *,
        failures: float = 5,
        seconds: float = 30.0,
        slow: float = 0.5,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        for name, value in (("failures", failures), ("seconds", seconds), ("slow", slow)):
            above_zero(f"breaker {name}", value)
        self._most = failures
        self._seconds = seconds
        self._slow = slow
        self._clock = function("breaker clock", clock, "seconds")
        self.start_fresh()

    def start_fresh(self) -> None:
        """Forget all failures, and in a forked process the lock of the parent."""
        self._lock = threading.Lock()
        self._failures = 0
        self._counted = -math.inf  # when the last counted failure ended
        self._until = 0.0
        self._state = Circuit.CLOSED

    @property
    def state(self) -> Circuit:
        """The state that the next command meets."""
        if self._state is Circuit.OPEN and self._due():
            return Circuit.HALF_OPEN
        return self._state

    @contextmanager
    def guard(self, *, fair: bool = True) -> Iterator[None]:
        """Run one command, and count its result; raise ``CircuitOpen`` if the circuit is open.

        Everything inside the block counts as the command's time: fetch secrets and build clients
        before. The failure of a command without a ``fair`` amount of time does not count.
        """
        probe, began = self._admit(), self._clock()
        try:
            yield
        except QuotaExceeded as error:
            seconds = error.retry_after
            self._open(self._seconds if seconds is None else min(seconds, MAX_RETRY_AFTER))
            raise
        except StoreRefused:
            self._succeeded()
            raise
        except Exception:
            self._failed(began, fair=fair, probe=probe)
            raise
        except BaseException:  # cancelled
            self._failed(began, fair=False, probe=probe)
            raise
        if self._clock() - began > self._slow:
            self._failed(began, fair=True, probe=probe)
        else:
            self._succeeded()

    def _due(self) -> bool:
        return self._clock() >= self._until

    def _admit(self) -> bool:
        """Return whether the command is a probe; raise ``CircuitOpen`` if it must not run."""
        with self._lock:
            if self._state is Circuit.CLOSED:
                return False
            if self._state is Circuit.OPEN and self._due():
                self._state = Circuit.HALF_OPEN
                return True
        raise CircuitOpen("the circuit breaker is open after failures: no request was sent")

    def _succeeded(self) -> None:
        with self._lock:
            closes, self._state = self._state is not Circuit.CLOSED, Circuit.CLOSED
            self._failures = 0
        if closes:
            logger.warning("cache circuit closed: Upstash replies again")

    def _failed(self, began: float, *, fair: bool, probe: bool) -> None:
        self._open(self._seconds, lambda: self._count(began, fair=fair, probe=probe))

    def _count(self, began: float, *, fair: bool, probe: bool) -> bool:
        """Count a failure; return whether it opens the circuit."""
        if probe and not fair:
            self._state = Circuit.OPEN  # the next command is the probe
        if not fair or began < self._counted:
            return False
        self._failures, self._counted = self._failures + 1, self._clock()
        return probe or (self._state is Circuit.CLOSED and self._failures >= self._most)

    def _open(self, seconds: float, condition: Callable[[], bool] = lambda: True) -> None:
        """Open for ``seconds`` if ``condition``, which is called with the lock held."""
        with self._lock:
            if not condition() or self._most == math.inf:
                return
            opens, self._state = self._state is Circuit.CLOSED, Circuit.OPEN
            self._until = self._clock() + seconds
        if opens:
            logger.warning("cache circuit open: no request is sent to Upstash for %g s", seconds)
