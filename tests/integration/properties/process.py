"""Simulated processes, and their policy blocks."""

import math
from contextvars import copy_context
from dataclasses import dataclass, fields, replace
from typing import Any

from tests.integration.properties.database import FaultyStore, Time
from tests.integration.properties.strategies import LEASE, Setup

from llm_cache import CachePolicy, MemoryTier, Report, UpstashRedisCache
from llm_cache._circuit import Circuit
from llm_cache._engine.command_runner import RESERVE, CommandRunner
from llm_cache._protocol.effects import Operation
from llm_cache._upstash.breaker import Breaker


class SingleThreaded(CommandRunner):
    """Cleans up in the same thread: threads may not share the connection to the server."""

    def clean_up(self, operation: Operation[Any], *, wait: bool = True) -> None:
        super().clean_up(operation)


class Process:
    """One cache with its own clock; the time that passes is the same for all."""

    def __init__(self, setup: Setup, store: FaultyStore, time: Time) -> None:
        self.setup = setup
        self.store = store
        self.time = time
        self.ahead = setup.ahead
        memory = MemoryTier(seconds=setup.memory, clock=time.monotonic) if setup.memory else None
        self.cache = UpstashRedisCache(
            store,
            ttl=setup.ttl,
            namespace=setup.namespace,
            ttl_floor=setup.floor,
            ttl_ceiling=setup.ceiling,
            lease=LEASE,
            memory=memory,
            mark_hits=False,
            breaker=Breaker(failures=3, seconds=4.0, clock=time.monotonic),
            clock=self.clock,
        )
        made = self.cache._runner
        execution = SingleThreaded(made.store, made.breaker, made.timeout, made.own_protection)
        leadership = replace(self.cache._leadership, runner=execution)
        self.cache._leadership = leadership
        self.reading = replace(self.cache._reader, leadership=leadership)
        self.writing = replace(self.cache._writer, leadership=leadership)

    @property
    def sends_commands(self) -> bool:
        return self.cache.circuit is Circuit.CLOSED

    def clock(self) -> float:
        return 1_700_000_000 + self.time.now + self.ahead


class Invocation:
    """Lambda's context of an invocation that ends at ``end``."""

    def __init__(self, time: Time, end: float) -> None:
        self.get_remaining_time_in_millis = lambda: round(1000 * (end - time.now))


@dataclass
class Counts:
    """The expected counts of a report."""

    hits: int = 0
    misses: int = 0
    stored: int = 0
    errors: int = 0
    tokens_saved: int = 0


class Block:
    """A policy block inside a block of the policy ``outer``, of an invocation with ``seconds``."""

    def __init__(
        self, process: Process, inner: CachePolicy, outer: CachePolicy, seconds: float | None
    ) -> None:
        self.process = process
        self.end = None if seconds is None else process.time.now + seconds
        self.policy = inner.within(outer)
        self.counts = Counts()
        self.garbled = False
        self.open = True
        self.context = copy_context()
        context = None if self.end is None else Invocation(process.time, self.end)
        self._blocks = process.cache.policy(outer, context=context), process.cache.policy(inner)
        self._reports = [self.context.run(block.__enter__) for block in self._blocks]

    @property
    def report(self) -> Report:
        return self._reports[-1]

    def close(self) -> None:
        self.open = False
        for block in reversed(self._blocks):
            self.context.run(block.__exit__, None, None, None)

    def remaining(self) -> float:
        """Return the seconds that the cache may still spend."""
        return math.inf if self.end is None else self.end - self.process.time.now - RESERVE

    def check_report(self) -> None:
        reported = {one.name: getattr(self.report, one.name) for one in fields(Counts)}
        assert self.garbled or Counts(**reported) == self.counts, "wrong counts in the report"
        if not self.open:
            assert self._reports[0].outcomes == self.report.outcomes
