"""A circuit breaker: after repeated failures, Upstash is left alone for a while.

Each process has its own. Without it, an Upstash that hangs would cost every call its timeout.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from llm_cache._checks import above_zero, function
from llm_cache._errors import CircuitOpen, QuotaExceeded, StoreRefused
from llm_cache._report import Circuit

logger = logging.getLogger(__name__)
MOST_SECONDS = 300.0  # that a Retry-After is obeyed for: a quota can be raised at any moment


class Breaker:
    """Opens for ``seconds`` after ``failures`` in a row, then tries a single command.

    - Failures in a row come one after another. Commands that overlap fail for one reason, so they
      count once: a failure counts if its command began after the last counted failure ended.
    - A command that took longer than ``slow`` seconds counts as a failure.
    - A refused command does not: Upstash answers, and answers fast.
    - A command that exceeds a quota opens it at once, for the reply's ``Retry-After`` (at most
      ``MOST_SECONDS``) or else ``seconds``, because every other command would be refused too.

    ``math.inf`` failures: it never opens. Threads may share it. Raises ``InvalidSettings`` for a
    bound that is not positive.
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
        """Forget what was learnt; in a process that was forked, the lock of the parent too."""
        self._lock = threading.Lock()
        self._failures = 0
        self._counted = -math.inf  # when the last failure that counts ended
        self._until = 0.0
        self._state = Circuit.CLOSED

    @property
    def state(self) -> Circuit:
        """What the next command would meet."""
        if self._state is Circuit.OPEN and self._due():
            return Circuit.HALF_OPEN
        return self._state

    @contextmanager
    def guard(self, *, fair: bool = True) -> Iterator[None]:
        """Run one command, and learn from it; raise ``CircuitOpen`` if it is not to be run.

        Everything inside the block counts as the command's time: fetch secrets and build clients
        before. Nothing is learnt from the failure of a command that had no ``fair`` time.
        """
        probe, began = self._admit(), self._clock()
        try:
            yield
        except QuotaExceeded as error:
            after = error.retry_after
            self._open(self._seconds if after is None else min(after, MOST_SECONDS))
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
        raise CircuitOpen("Upstash is left alone for a while, after failures")

    def _succeeded(self) -> None:
        with self._lock:
            closes, self._state = self._state is not Circuit.CLOSED, Circuit.CLOSED
            self._failures = 0
        if closes:
            logger.warning("cache circuit closed: Upstash answers again")

    def _failed(self, began: float, *, fair: bool, probe: bool) -> None:
        self._open(self._seconds, lambda: self._is_too_much(began, fair=fair, probe=probe))

    def _is_too_much(self, began: float, *, fair: bool, probe: bool) -> bool:
        """Count a failure; return whether it opens the circuit."""
        if probe and not fair:
            self._state = Circuit.OPEN  # and due: another command is the probe
        if not fair or began < self._counted:
            return False
        self._failures, self._counted = self._failures + 1, self._clock()
        return probe or (self._state is Circuit.CLOSED and self._failures >= self._most)

    def _open(self, seconds: float, decides: Callable[[], bool] = lambda: True) -> None:
        """Open for ``seconds`` if ``decides``, which is called with the lock held."""
        with self._lock:
            if not decides() or self._most == math.inf:
                return
            opens, self._state = self._state is Circuit.CLOSED, Circuit.OPEN
            self._until = self._clock() + seconds
        if opens:
            logger.warning("cache circuit open: Upstash is left alone for %g s", seconds)
