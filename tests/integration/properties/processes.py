"""Processes, and the policy blocks in them."""

import math
from contextvars import copy_context
from dataclasses import dataclass, replace
from typing import Any

from tests.integration.properties.policies import LEASE, Setup
from tests.integration.properties.wire import Time, Wire

from llm_cache import CachePolicy, MemoryTier, Report, UpstashRedisCache
from llm_cache._engine.execution import RESERVE, Execution
from llm_cache._protocol.effects import Operation
from llm_cache._report import Circuit
from llm_cache._upstash.breaker import Breaker


class Inline(Execution):
    """Cleans up without a thread."""

    def __init__(self, execution: Execution) -> None:
        super().__init__(
            execution.store, execution.breaker, execution.timeout, execution.own_protection
        )

    def clean_up(self, operation: Operation[Any], *, wait: bool = True) -> None:
        super().clean_up(operation)


class Process:
    """One cache, as of one process; its clock is its own, the time that passes is everyone's."""

    def __init__(self, setup: Setup, wire: Wire, now: Time) -> None:
        self.setup = setup
        self.wire = wire
        self.time = now
        self.ahead = setup.ahead
        memory = MemoryTier(seconds=setup.memory, clock=now.monotonic) if setup.memory else None
        self.cache = UpstashRedisCache(
            wire,
            ttl=setup.ttl,
            namespace=setup.namespace,
            ttl_floor=setup.floor,
            ttl_ceiling=setup.ceiling,
            lease=LEASE,
            memory=memory,
            mark_hits=False,
            breaker=Breaker(failures=3, seconds=4.0, clock=now.monotonic),
            clock=self.clock,
        )
        # no thread may use the one connection to the server
        leadership = replace(self.cache._leadership, execution=Inline(self.cache._execution))
        self.cache._leadership = leadership
        self.reading = replace(self.cache._reading, leadership=leadership)
        self.writing = replace(self.cache._writing, leadership=leadership)

    @property
    def asks(self) -> bool:
        """Whether it asks the database, and does not leave it alone after failures."""
        return self.cache.circuit is Circuit.CLOSED

    def clock(self) -> float:
        return 1_700_000_000 + self.time.now + self.ahead


@dataclass(frozen=True, slots=True)
class Deadline:
    """Lambda's context: an invocation that ends at ``at``."""

    time: Time
    at: float

    def get_remaining_time_in_millis(self) -> int:
        return round(1000 * (self.at - self.time.now))


@dataclass
class Counts:
    """What the report of a block has to say."""

    hits: int = 0
    misses: int = 0
    stored: int = 0
    errors: int = 0
    tokens: int = 0


class Block:
    """A ``with cache.policy(...)`` block, in another that sets ``outer``."""

    def __init__(
        self, process: Process, given: CachePolicy, outer: CachePolicy, seconds: float | None
    ) -> None:
        self.process = process
        self.at = None if seconds is None else process.time.now + seconds
        self.policy = given.within(outer)
        self.counts = Counts()
        self.garbled = False
        self.open = True
        self.context = copy_context()
        deadline = None if self.at is None else Deadline(process.time, self.at)
        self._blocks = (
            process.cache.policy(outer, context=deadline),
            process.cache.policy(given),
        )
        self.reports = [self.context.run(block.__enter__) for block in self._blocks]

    @property
    def report(self) -> Report:
        return self.reports[-1]

    def close(self) -> None:
        self.open = False
        for block in reversed(self._blocks):
            self.context.run(block.__exit__, None, None, None)

    def remaining(self) -> float:
        """Return the seconds that the cache may still take."""
        return math.inf if self.at is None else self.at - self.process.time.now - RESERVE

    def check_report(self) -> None:
        counts = Counts(
            hits=self.report.hits,
            misses=self.report.misses,
            stored=self.report.stored,
            errors=self.report.errors,
            tokens=self.report.tokens_saved,
        )
        assert self.garbled or counts == self.counts, "the report says something else"
        if not self.open:
            assert self.reports[0].outcomes == self.report.outcomes
