"""Those who look up, have the model asked and store, each run step by step."""

from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from langchain_core.outputs import Generation
from tests.integration.properties.model import Answer, Event, identity
from tests.integration.properties.policies import LEASE
from tests.integration.properties.processes import Block
from tests.integration.protected_request import protected_request

from llm_cache import CacheMiss
from llm_cache._engine import lookup_state
from llm_cache._engine.call import Call
from llm_cache._errors import StoreError
from llm_cache._protocol.effects import Command, Operation, Pause
from llm_cache._protocol.leases import RELEASE, TAKE

MODEL = "model"


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a lookup: an answer or None, or ``CacheMiss`` was raised."""

    found: list[Generation] | None
    refused: bool = False


@dataclass
class Sight:
    """What a lookup, begun at ``began``, has seen.

    ``at``: when it saw the ``epochs``, by the order of things; ``clock``: by its clock; ``judged``:
    when it last judged an entry, by its clock. ``latest`` is the answer that was stored then,
    ``there`` the text that stood in its place, ``expected`` what it must find.
    """

    began: int = 0
    at: int | None = None
    clock: float = 0.0
    judged: float = 0.0
    epochs: tuple[str | None, ...] = ()
    unseen: frozenset[str] = frozenset()
    latest: Answer | None = None
    there: str | None = None
    expected: Answer | None = None
    rubbish: bool = False


@dataclass
class Turn:
    """How one takes its turn among those who ask the same at once, from ``at`` on.

    ``joined``: when it became the one of its process to compute it. ``until``: while it computes,
    nobody else is told to before. ``first``: it has that right.
    """

    at: float
    patience: float
    lease: float
    waited: Pause | None = None
    token: str | None = None
    joined: float = 0.0
    until: float = 0.0
    first: bool = False


@dataclass(eq=False)
class Caller:
    """One who looks an answer up, has the model asked, and has its answer stored."""

    block: Block
    prompt: str
    may_wait: bool = True
    again: bool = False
    operation: Operation[Any] | None = None
    wants: Any = None
    reply: Callable[[], Any] | None = None
    resumes_at: float = 0.0
    commands: int = 0
    failed: int = 0
    faulted: bool = False
    sight: Sight = field(default_factory=Sight)
    turn: Turn | None = None
    result: Result | None = None
    answer: Answer | None = None
    updated: bool = False
    replaced: Event | None = None

    def __post_init__(self) -> None:
        self.context = self.block.context.copy()
        self.process, self.policy = self.block.process, self.block.policy
        self.which = identity(self.process.setup, self.policy, self.prompt)
        self.key = protected_request(self.question()).key

    def look(self, at: int) -> None:
        """Begin a lookup."""
        self.sight, self.turn, self.result = Sight(at), None, None
        self._start(self.process.reading.lookup(self.question(), may_wait=lambda: self.may_wait))

    def store(self, answer: Answer) -> None:
        """Begin an update."""
        self.answer = answer
        self._start(self.process.writing.update(self.question(), answer.generations))

    def is_waited_for_by(self, other: "Caller") -> bool:
        call = self.question()
        claim = self.context.run(lookup_state.earlier_leader, call.identify().identity)
        waits = other.running and isinstance(other.wants, Pause) and other.wants.until
        return bool(claim and waits is claim.call.result)

    def forget(self) -> None:
        """Let the context of the call be gone, and all that it held."""
        self.context, self.operation, self.wants, self.reply = Context(), None, None, None

    def question(self) -> Call[Any]:
        return self.context.run(self.process.cache._call_of, self.prompt, MODEL)

    def _start(self, operation: Operation[Any]) -> None:
        self.operation, self.wants, self.commands = operation, None, 0
        self.failed, self.faulted = 0, False
        self._advance(partial(next, operation))

    @property
    def running(self) -> bool:
        return self.operation is not None

    @property
    def ready(self) -> bool:
        """Whether it can go on: what it waits for is there, or the wait is over."""
        if not self.running or self.reply or not isinstance(self.wants, Pause):
            return self.running
        landed = self.wants.until is not None and self.wants.until.done()
        return landed or self.process.time.now >= self.resumes_at

    def step(self, *, slow: bool = False) -> None:
        """Run one command, or end one pause, and go on; ``slow``: the reply comes a step later."""
        assert self.operation is not None
        if self.reply is None:
            self.reply = self._run(self.operation)
            if slow:
                return
        resume, self.reply = self.reply, None
        self._advance(resume)

    def _run(self, operation: Operation[Any]) -> Callable[[], Any]:
        """Run what is wanted; return what goes on with what came of it."""
        if isinstance(self.wants, Pause):
            return partial(operation.send, None)
        self.commands += 1
        failures = self.process.wire.failures
        try:
            reply = self.context.run(self.process.cache._execution.execute, self.wants)
        except StoreError as error:
            # neither a lease that is released nor an entry that is deleted is waited for
            self.failed += RELEASE not in self.wants.args and self.wants.args[0] != "UNLINK"
            self.faulted = True
            # its traceback holds the frame that will hold what is returned: a cycle, and the claim
            return partial(operation.throw, error.with_traceback(None))
        if self.process.wire.failures > failures:
            self.faulted = self.block.garbled = True
        return partial(operation.send, reply)

    def _advance(self, resume: Callable[[], Any]) -> None:
        if self.wants is None or RELEASE not in _words(self.wants):
            self.sight.judged = self.process.clock()
        try:
            self.wants = self.context.run(resume)
        except StopIteration as done:
            self.operation = None
            self.result = Result(done.value) if self.answer is None else self.result
            self.updated = self.answer is not None
        except CacheMiss:
            self.operation, self.result = None, Result(None, refused=True)
        else:
            self._check_the_wait()

    def _check_the_wait(self) -> None:
        waits = isinstance(self.wants, Pause)
        if self.answer is None and not waits and TAKE in self.wants.args:
            turn = self.takes_turn()
            turn.joined = turn.joined or self.process.time.now
        if waits:
            now, turn = self.process.time.now, self.takes_turn()
            self.resumes_at = now + self.wants.seconds
            turn.waited = self.wants
            turn.joined = 0.0 if self.wants.until else turn.joined
            assert now <= self.resumes_at <= turn.at + turn.patience + 1e-6, "waits too long"

    def takes_turn(self) -> Turn:
        """Return how long it may wait for another's answer, since it began to."""
        if self.turn is None:
            left = self.block.remaining()
            lease = min(LEASE, max(left, 0.001))
            # for who has the lease, and for who takes over should that one have died
            patience = max(0.0, min(2 * lease, left / 2)) if self.may_wait else 0.0
            self.turn = Turn(self.process.time.now, patience, lease)
        return self.turn


def _words(wants: Any) -> tuple[Any, ...]:
    return wants.args if isinstance(wants, Command) else ()
