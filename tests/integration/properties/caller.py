"""Callers that look up, call the model and store, run step by step."""

from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from langchain_core.outputs import Generation
from tests.integration.properties.history import Answer, Event, identity
from tests.integration.properties.process import Block
from tests.integration.properties.strategies import LEASE
from tests.integration.protected_request import protected_request

from llm_cache import CacheMiss
from llm_cache._engine import lookup_state
from llm_cache._engine.cache_call import CacheCall
from llm_cache._errors import StoreError
from llm_cache._protocol.effects import Command, Operation, Pause
from llm_cache._protocol.in_flight import Leader
from llm_cache._protocol.leases import RELEASE, TAKE

MODEL = "model"


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a lookup: an answer, None, or ``CacheMiss`` was raised."""

    found: list[Generation] | None
    cache_miss: bool = False


@dataclass
class Observation:
    """What a lookup that began at ``began`` has seen.

    ``at``: when it read the ``epochs``, in the order of the history; ``clock``: by its own clock.
    ``judged``: when it last judged an entry, by its clock. ``latest``: the answer stored then;
    ``text``: the text of the entry; ``expected``: the answer that it must return.
    """

    began: int = 0
    at: int | None = None
    clock: float = 0.0
    judged: float = 0.0
    epochs: tuple[str | None, ...] = ()
    unseen: frozenset[str] = frozenset()
    latest: Answer | None = None
    text: str | None = None
    expected: Answer | None = None
    rubbish: bool = False


@dataclass
class Flight:
    """The part of one lookup in single flight, from ``at`` on.

    ``joined``: when it became the leader in its process. ``until``: while it computes, no other
    caller may compute before. ``token``: of its lease.
    """

    at: float
    patience: float
    lease: float
    last_pause: Pause | None = None
    token: str | None = None
    joined: float = 0.0
    until: float = 0.0


@dataclass(eq=False)
class Caller:
    """One call: a lookup, and the update that may follow. ``step`` is its next step."""

    block: Block
    prompt: str
    may_wait: bool = True
    retries: bool = False
    operation: Operation[Any] | None = None
    step: Any = None
    resume: Callable[[], Any] | None = None
    resumes_at: float = 0.0
    commands: int = 0
    failed: int = 0
    faulted: bool = False
    observed: Observation = field(default_factory=Observation)
    flight: Flight | None = None
    result: Result | None = None
    answer: Answer | None = None
    updated: bool = False
    replaced: Event | None = None

    def __post_init__(self) -> None:
        self.context = self.block.context.copy()
        self.process, self.policy = self.block.process, self.block.policy
        self.which = identity(self.process.setup, self.policy, self.prompt)
        self.key = protected_request(self.call()).key

    def lookup(self, at: int) -> None:
        """Begin a lookup."""
        self.observed, self.flight, self.result = Observation(at), None, None
        self._start(self.process.reading.lookup(self.call(), may_wait=lambda: self.may_wait))

    def update(self, answer: Answer) -> None:
        """Begin an update."""
        self.answer = answer
        self._start(self.process.writing.update(self.call(), answer.generations))

    def call(self) -> CacheCall[Any]:
        return self.context.run(self.process.cache._call_of, self.prompt, MODEL)

    def earlier_leader(self) -> Leader | None:
        return self.context.run(lookup_state.earlier_leader, self.call().identify().identity)

    def is_waited_for_by(self, other: "Caller") -> bool:
        leader = self.earlier_leader()
        awaited = isinstance(other.step, Pause) and other.running and other.step.until
        return bool(leader and awaited is leader.call.result)

    def drop_context(self) -> None:
        """Let the context of the call be collected."""
        self.context, self.operation, self.step, self.resume = Context(), None, None, None

    def _start(self, operation: Operation[Any]) -> None:
        self.operation, self.step, self.commands = operation, None, 0
        self.failed, self.faulted = 0, False
        self._advance(partial(next, operation))

    @property
    def running(self) -> bool:
        return self.operation is not None

    @property
    def ready(self) -> bool:
        """Whether it can continue: it waits for nothing, or its wait is over."""
        if not self.running or self.resume or not isinstance(self.step, Pause):
            return self.running
        ended = self.step.until is not None and self.step.until.done()
        return ended or self.process.time.now >= self.resumes_at

    def run_step(self, *, slow: bool = False) -> None:
        """Run one command or end one pause, and continue; ``slow``: continue at the next step."""
        assert self.operation is not None
        if self.resume is None:
            self.resume = self._execute(self.operation)
            if slow:
                return
        resume, self.resume = self.resume, None
        self._advance(resume)

    def _execute(self, operation: Operation[Any]) -> Callable[[], Any]:
        """Run the step; return the continuation with its reply or error."""
        if isinstance(self.step, Pause):
            return partial(operation.send, None)
        self.commands += 1
        failures = self.process.store.failures
        try:
            reply = self.context.run(self.process.cache._runner.execute, self.step)
        except StoreError as error:
            # Releases and deletions are best effort.
            self.failed += RELEASE not in self.step.args and self.step.args[0] != "UNLINK"
            self.faulted = True
            # The traceback would be a reference cycle that keeps the leader alive.
            return partial(operation.throw, error.with_traceback(None))
        if self.process.store.failures > failures:
            self.faulted = self.block.garbled = True
        return partial(operation.send, reply)

    def _advance(self, resume: Callable[[], Any]) -> None:
        if not isinstance(self.step, Command) or RELEASE not in self.step.args:
            self.observed.judged = self.process.clock()
        try:
            self.step = self.context.run(resume)
        except StopIteration as done:
            self.operation = None
            self.result = Result(done.value) if self.answer is None else self.result
            self.updated = self.answer is not None
        except CacheMiss:
            self.operation, self.result = None, Result(None, cache_miss=True)
        else:
            self._check_wait()

    def _check_wait(self) -> None:
        now = self.process.time.now
        if isinstance(self.step, Pause):
            flight = self.joined_flight()
            self.resumes_at = now + self.step.seconds
            flight.last_pause = self.step
            flight.joined = 0.0 if self.step.until else flight.joined
            assert now <= self.resumes_at <= flight.at + flight.patience + 1e-6, "waits too long"
        elif self.answer is None and TAKE in self.step.args:
            flight = self.joined_flight()
            flight.joined = flight.joined or now

    def joined_flight(self) -> Flight:
        """Return its part in single flight, which begins with the first call of this method."""
        if self.flight is None:
            left = self.block.remaining()
            lease = min(LEASE, max(left, 0.001))
            # One lease for the leader, and one for the leader that replaces a dead one.
            patience = max(0.0, min(2 * lease, left / 2)) if self.may_wait else 0.0
            self.flight = Flight(self.process.time.now, patience, lease)
        return self.flight
