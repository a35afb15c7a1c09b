"""Every order of the steps of concurrent calls, clears and lost leases, on a real server.

A step is one command, or the end of a model call. A caller that polls continues only after a change
of the database, so every order ends; at its end no caller may be waiting.
"""

import contextvars
import itertools
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, TypeAlias

from langchain_core.outputs import Generation
from tests.integration.upstash.connection import Connection

from llm_cache import CachePolicy, UpstashRedisCache
from llm_cache._engine import lookup_state, scope
from llm_cache._engine.leadership import Leadership
from llm_cache._entries.keys import Keyspace
from llm_cache._protocol.clearing import clear
from llm_cache._protocol.drivers import always, run
from llm_cache._protocol.effects import Operation, Pause
from llm_cache._protocol.leases import TAKE, release
from llm_cache._protocol.lookup import Epochs
from llm_cache._upstash.credentials import Credentials
from llm_cache._upstash.upstash_store import UpstashStore

KEYS = Keyspace("race")
MODEL_CALL = Pause(0.0)
CLEAR, EXPIRE = "clear", "expire"
Choose: TypeAlias = Callable[[Sequence[str]], str]


class Ending(Enum):
    """How the model call of a caller ends."""

    STORED = "stored"
    FAILED = "failed"
    NOT_STORED = "not stored"
    DEAD = "dead"


class DeferringLeadership(Leadership):
    """Keeps the releases of leases, so that the test runs them as steps."""

    def __init__(self, leadership: Leadership, releases: list[Operation[None]]) -> None:
        super().__init__(leadership.runner, leadership.lease)
        self.__dict__["releases"] = releases

    def _release(self, request: Any, lease: str, *, wait: bool) -> None:
        self.__dict__["releases"].append(release(request, lease))


class Process:
    """The cache of one process, and its releases to be run."""

    def __init__(self) -> None:
        store = UpstashStore(lambda: Credentials("http://127.0.0.1:9", "token"))
        self.cache = UpstashRedisCache(store, namespace="race", lease=3600)
        self.releases: list[Operation[None]] = []
        leadership = DeferringLeadership(self.cache._leadership, self.releases)
        self.reading = replace(self.cache._reader, leadership=leadership)
        self.writing = replace(self.cache._writer, leadership=leadership)


@dataclass
class Caller:
    """A call in progress. ``step`` is its next step, None at the end.

    ``polled_state``: the database when it last polled in vain, None if it does not poll.
    """

    name: str
    process: Process
    ending: Ending
    race: "Race"
    step: Any = None
    polled_state: object = None
    begun: bool = False
    saw_clear_at: int = 0
    epochs: Epochs = ()
    lease: str | None = None
    computing: bool = False
    dead: bool = False

    def __post_init__(self) -> None:
        self._context = contextvars.Context()
        self._operation = self._call()
        self._advance(None)

    @property
    def enabled(self) -> bool:
        """Whether its next step could change anything."""
        if self.step is None or self.dead:
            return False
        if isinstance(self.step, Pause) and self.step.until:
            return self.step.until.done()
        return self.polled_state is None or self.polled_state != self.race.state

    def run_step(self) -> None:
        self.polled_state = reply = None
        if isinstance(self.step, Pause):
            self.dead = self.step is MODEL_CALL and self.ending is Ending.DEAD
        else:
            self.begun = True
            if self.step.args[0] == "MGET" or self.step.args[1] == TAKE:
                self.saw_clear_at = self.race.cleared_at
            reply = self.race.execute(self.step.args)
        if not self.dead:
            self._advance(reply)

    def close(self) -> None:
        self._context.run(self._operation.close)

    def _advance(self, reply: Any) -> None:
        try:
            self.step = self._context.run(self._operation.send, reply)
            while (
                isinstance(self.step, Pause) and self.step is not MODEL_CALL and not self.step.until
            ):
                self.polled_state = self.race.state
                self.step = self._context.run(self._operation.send, None)
        except StopIteration:
            self.step = None

    def _call(self) -> Generator[Any, Any, None]:
        no_ttl: Callable[..., None] = lambda *_: None  # noqa: E731
        ttl = no_ttl if self.ending is Ending.NOT_STORED else None
        with scope.entered(CachePolicy(coalesce="fleet", ttl=ttl), None):
            call = self.process.cache._call_of("p", "model")
            found = yield from self.process.reading.lookup(call, may_wait=always)
            if found is not None:  # a clear after its last command may be newer
                assert int(found[0].text) > self.saw_clear_at
                return
            state = lookup_state._shard(call.identity)[call.identity]
            assert isinstance(state.epochs, tuple)
            self.epochs = state.epochs
            self.lease = state.leader.call.lease if state.leader else None
            answer = [Generation(text=str(self.race.begin_model_call(self)))]
            yield MODEL_CALL
            if self.ending is not Ending.FAILED:
                yield from self.process.writing.update(call, answer)
            self.computing = False
        while self.process.releases:
            yield from self.process.releases.pop()


@dataclass
class Race:
    """A server, its concurrent callers, and the clears and lost leases that remain."""

    server: Connection
    clears: int
    losses: int
    steps: int = 0
    cleared_at: int = 0
    model_calls: int = 0
    lost: set[str] = field(default_factory=set)
    callers: list[Caller] = field(default_factory=list)
    state: Any = None
    """The lease, the epoch and the entry."""

    def __post_init__(self) -> None:
        hashed = Process().cache._call_of("p", "model").identify().hashed
        self.lease_key = KEYS.lease(hashed)
        self.read_all = ("MGET", self.lease_key, KEYS.epoch, KEYS.entry(hashed))
        self.execute(("FLUSHDB",))

    def execute(self, command: Any) -> object:
        reply, self.state = self.server.pipeline([command, self.read_all])
        return reply

    def enabled(self) -> list[str]:
        """Return the steps that could change anything; callers begin in order."""
        begun = [caller for caller in self.callers if caller.begun]
        names = [caller.name for caller in begun if caller.enabled]
        names += [caller.name for caller in self.callers[len(begun) : len(begun) + 1]]
        holder = self.holder()
        if holder and (self.losses or holder.dead):
            names.append(EXPIRE)
        return [*names, CLEAR] if self.clears else names

    def holder(self) -> Caller | None:
        """Return the caller that holds the lease."""
        token = str(self.state[0] or "").partition(":")[0]
        return next((one for one in self.callers if token and one.lease == token), None)

    def run_step(self, name: str) -> None:
        self.steps += 1
        if name == CLEAR:
            self.clears -= 1
            self.cleared_at = self.steps
            run(clear(KEYS, token=f"{self.steps}", now=0.0), lambda step: self.execute(step.args))
        elif name == EXPIRE:
            self._expire()
        else:
            self.callers[int(name)].run_step()
        for caller in self.callers:
            computes = caller.computing and caller.epochs == (self.state[1],)
            if computes and caller.lease and caller.lease not in self.lost:
                assert self.holder() is caller

    def _expire(self) -> None:
        holder = self.holder()
        assert holder
        assert holder.lease
        self.losses -= not holder.dead
        self.lost.add(holder.lease)
        self.execute(("DEL", self.lease_key))

    def begin_model_call(self, caller: Caller) -> int:
        """Check that no other model call makes this one superfluous; return the current step."""
        for other in self.callers:
            if other.computing and other.epochs == caller.epochs and other.lease and caller.lease:
                assert other.lease in self.lost
        assert caller.lease or any(one.ending is Ending.NOT_STORED for one in self.callers)
        self.model_calls += 1
        caller.computing = True
        return self.steps


def _each_order(play: Callable[[Choose], None]) -> None:
    """Play once for every sequence of choices."""
    trail: list[list[int]] = []  # at each point: the choice, and the number of options
    while True:
        points = itertools.count()

        def choose(options: Sequence[str], points: Iterator[int] = points) -> str:
            point = next(points)
            if point == len(trail):
                trail.append([0, len(options)])
            return options[trail[point][0]]

        play(choose)
        while trail and trail[-1][0] + 1 == trail[-1][1]:
            trail.pop()
        if not trail:
            return
        trail[-1][0] += 1


def calls_in_every_order(
    server: Connection,
    endings: Sequence[Ending],
    *,
    processes: str = "012",
    epoch: str | None = "cbefore",
    clears: int = 0,
    losses: int = 0,
) -> set[int]:
    """Play every order, and return the numbers of model calls.

    ``endings`` holds one ending for each caller, ``processes`` the name of its process. ``epoch``
    is the first epoch of the namespace. ``losses`` counts lost leases of living holders; the lease
    of a dead holder is lost in any case.
    """
    calls: set[int] = set()

    def play(choose: Choose) -> None:
        race = Race(server, clears, losses)
        if epoch:
            race.execute(("SET", KEYS.epoch, epoch))
        named = {name: Process() for name in processes}
        for number, ending in enumerate(endings):
            race.callers.append(Caller(f"{number}", named[processes[number]], ending, race))
        order = []
        try:
            while enabled := race.enabled():
                order.append(choose(enabled))
                race.run_step(order[-1])
            assert not [one.name for one in race.callers if one.step and not one.dead], "waiting"
        except AssertionError as error:
            raise AssertionError(f"{endings} in the order {order}") from error
        finally:
            for caller in race.callers:
                caller.close()
        calls.add(race.model_calls)

    _each_order(play)
    return calls
