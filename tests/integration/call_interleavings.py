"""Callers who share one answer, in every order in which their steps, a clear and a loss can come.

Callers are driven command by command against a real server, each through the rules of its own
process. A step is one command, or the end of a model call. Whoever waits looks again only after
something has changed, so that every order comes to an end, and at its end nobody may be waiting.
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
from llm_cache._engine.call import Call
from llm_cache._engine.leadership import Leadership
from llm_cache._entries.keys import Keyspace
from llm_cache._protocol.clearing import clear
from llm_cache._protocol.drivers import always, run
from llm_cache._protocol.effects import Operation, Pause
from llm_cache._protocol.leases import TAKE, release
from llm_cache._protocol.lookup import Epochs
from llm_cache._upstash.credentials import Credentials
from llm_cache._upstash.store import UpstashStore

KEYS = Keyspace("race")
MODEL = Pause(0.0)  # the step at whose end the model has answered, or failed
CLEAR, EXPIRE = "clear", "expire"
Choose: TypeAlias = Callable[[Sequence[str]], str]


class Ending(Enum):
    """How the model call of one caller ends."""

    STORED = "stored"
    FAILED = "failed"
    NOT_STORED = "not stored"
    DEAD = "dead"


class Inline(Leadership):
    """Keeps the releases of leases for the test to run."""

    def __init__(self, leadership: Leadership, left: list[Operation[None]]) -> None:
        super().__init__(leadership.execution, leadership.lease)
        self.__dict__["left"] = left

    def _release(self, request: Any, lease: str, *, wait: bool) -> None:
        self.__dict__["left"].append(release(request, lease))


class Process:
    """What callers of one process share, and the commands of those nobody waits for."""

    def __init__(self) -> None:
        store = UpstashStore(lambda: Credentials("http://127.0.0.1:9", "token"))
        self.cache = UpstashRedisCache(store, namespace="race", lease=3600)
        self.left: list[Operation[None]] = []
        leadership = Inline(self.cache._leadership, self.left)
        self.reading = replace(self.cache._reading, leadership=leadership)
        self.writing = replace(self.cache._writing, leadership=leadership)


@dataclass
class Caller:
    """One who asks: the command that comes next, and, of one who computes, under what."""

    name: str
    process: Process
    ends: Ending
    world: "World"
    next: Any = None
    waits: object = None
    begun: bool = False
    saw_clear_at: int = 0
    epochs: Epochs = ()
    lease: str | None = None
    computing: bool = False
    dead: bool = False

    def __post_init__(self) -> None:
        self._context = contextvars.Context()
        self._operation = self._ask()
        self.advance(None)

    def advance(self, reply: Any) -> None:
        """Go on to the next command, or to the end."""
        try:
            self.next = self._context.run(self._operation.send, reply)
            while isinstance(self.next, Pause) and self.next is not MODEL and not self.next.until:
                self.waits = self.world.state
                self.next = self._context.run(self._operation.send, None)
        except StopIteration:
            self.next = None

    @property
    def enabled(self) -> bool:
        """Whether a step of it could change anything."""
        if self.next is None or self.dead:
            return False
        if isinstance(self.next, Pause) and self.next.until:
            return self.next.until.done()
        return self.waits is None or self.waits != self.world.state

    def serves(self, epoch: str | None) -> bool:
        """Whether it computes an answer that will be served under this epoch."""
        return self.computing and self.epochs == (epoch,)

    def step(self) -> None:
        """Run the next command."""
        self.waits = None
        if isinstance(self.next, Pause):
            self.dead = self.next is MODEL and self.ends is Ending.DEAD
            reply = None
        else:
            self.begun = True
            if self.next.args[0] == "MGET" or self.next.args[1] == TAKE:
                self.saw_clear_at = self.world.cleared_at
            reply = self.world.run(self.next.args)
        if not self.dead:
            self.advance(reply)

    def close(self) -> None:
        """End it wherever it is."""
        self._context.run(self._operation.close)

    def _ask(self) -> Generator[Any, Any, None]:
        never: Callable[..., None] = lambda *_: None  # noqa: E731
        ttl = never if self.ends is Ending.NOT_STORED else None
        with scope.entered(CachePolicy(coalesce="fleet", ttl=ttl), None):
            call = self.process.cache._call_of("p", "model")
            found = yield from self.process.reading.lookup(call, may_wait=always)
            if found is not None:
                self.world.served(self, found)
                return
            yield from self._compute(call)
        while self.process.left:
            yield from self.process.left.pop()

    def _compute(self, call: Call[Any]) -> Generator[Any, Any, None]:
        seen = lookup_state._shard(call.identity)[call.identity]
        assert isinstance(seen.epochs, tuple)
        self.epochs = seen.epochs
        self.lease = seen.leader.call.lease if seen.leader else None
        began = self.world.computes(self)
        yield MODEL
        if self.ends is not Ending.FAILED:
            answer = [Generation(text=str(began))]
            yield from self.process.writing.update(call, answer)
        self.computing = False


@dataclass
class World:
    """A server, those who ask, and what has happened."""

    server: Connection
    clears: int
    losses: int
    steps: int = 0
    cleared_at: int = 0
    calls: int = 0
    lost: set[str] = field(default_factory=set)
    callers: list[Caller] = field(default_factory=list)
    state: Any = None

    def __post_init__(self) -> None:
        hashed = Process().cache._call_of("p", "model").identify().hashed
        self.lease_key = KEYS.lease(hashed)
        self.all = ("MGET", self.lease_key, KEYS.epoch, KEYS.entry(hashed))
        self.run(("FLUSHDB",))

    def run(self, command: Any) -> object:
        """Run a command, and read all there is: the lease, the epoch, the entry."""
        reply, self.state = self.server.pipeline([command, self.all])
        return reply

    def enabled(self) -> list[str]:
        """Return whose steps could change anything; callers begin in the order of their names."""
        begun = [caller for caller in self.callers if caller.begun]
        able = [caller.name for caller in begun if caller.enabled]
        able += [caller.name for caller in self.callers[len(begun) : len(begun) + 1]]
        holder = self.holder()
        if holder and (self.losses or holder.dead):
            able.append(EXPIRE)
        return [*able, CLEAR] if self.clears else able

    def holder(self) -> Caller | None:
        """Return who has the lease, if it is somebody's."""
        token = str(self.state[0] or "").partition(":")[0]
        return next((one for one in self.callers if token and one.lease == token), None)

    def step(self, name: str) -> None:
        self.steps += 1
        if name == CLEAR:
            self.clears -= 1
            self.cleared_at = self.steps
            clearing = clear(KEYS, token=f"{self.steps}", now=0.0)
            run(clearing, lambda command: self.run(command.args))
        elif name == EXPIRE:
            self.expire()
        else:
            next(caller for caller in self.callers if caller.name == name).step()
        for caller in self.callers:
            if caller.lease and caller.lease not in self.lost and caller.serves(self.state[1]):
                assert self.holder() is caller

    def expire(self) -> None:
        holder = self.holder()
        assert holder
        assert holder.lease
        self.losses -= not holder.dead
        self.lost.add(holder.lease)
        self.run(("DEL", self.lease_key))

    def computes(self, caller: Caller) -> int:
        """Note that a caller begins to compute, and that nobody does so in vain."""
        self.calls += 1
        caller.computing = True
        for other in self.callers:
            beside = other.computing and other is not caller and other.epochs == caller.epochs
            if beside and other.lease and caller.lease:
                assert other.lease in self.lost
        if caller.lease is None:
            assert any(other.ends is Ending.NOT_STORED for other in self.callers)
        return self.steps

    def served(self, caller: Caller, found: list[Generation]) -> None:
        """Note that a caller has its answer from another, begun after every clear that it saw.

        A clear that comes after its last look is not one that it could have seen.
        """
        assert int(found[0].text) > caller.saw_clear_at

    def check(self) -> None:
        """Say that it has come to an end and nobody is left."""
        waiting = [caller.name for caller in self.callers if caller.next and not caller.dead]
        assert not waiting


def every(play: Callable[[Choose], None]) -> None:
    """Play once for every way to choose."""
    trail: list[list[int]] = []  # the choice at each point, and of how many
    while True:
        at = itertools.count()

        def choose(options: Sequence[str], at: Iterator[int] = at) -> str:
            point = next(at)
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
    ends: Sequence[Ending],
    *,
    processes: str = "012",
    epoch: str | None = "cbefore",
    clears: int = 0,
    losses: int = 0,
) -> set[int]:
    """Play every order, and return the numbers of model calls that there were.

    ``ends`` says how the call of each caller would end and ``processes`` in which process it is;
    ``epoch`` is the namespace's at first, and there are as many ``clears`` and ``losses`` of a
    lease as told. A lease whose holder is dead is lost in any case.
    """
    calls: set[int] = set()

    def play(choose: Choose) -> None:
        world = World(server, clears, losses)
        if epoch:
            world.run(("SET", KEYS.epoch, epoch))
        of = {name: Process() for name in processes}
        for number, end in enumerate(ends):
            world.callers.append(Caller(f"{number}", of[processes[number]], end, world))
        order = []
        try:
            while able := world.enabled():
                order.append(choose(able))
                world.step(order[-1])
            world.check()
        except AssertionError as error:
            raise AssertionError(f"{ends} in the order {order}") from error
        finally:
            for caller in world.callers:
                caller.close()
        calls.add(world.calls)

    every(play)
    return calls
