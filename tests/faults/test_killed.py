"""A process killed at any moment leaves nothing behind that the next one could stumble on."""

import itertools
import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.faults.killing import Killer, Moment, Nursery, nursery
from tests.faults.proxy import proxying
from tests.faults.victims import (
    BYSTANDER,
    FLEET,
    LEASE,
    MODEL,
    NEW,
    NEXT,
    OLD,
    PATIENT,
    PERFORM,
    QUESTION,
    SIBLING,
    UNTAGGED,
    USED,
    Caller,
    Job,
    answer,
)
from tests.integration.filling import fill
from tests.integration.protected_request import protected_request
from tests.integration.upstash.connection import Connection

from llm_cache._protocol.clearing import PAGE
from upstash_endpoint.endpoint import UpstashEndpoint
from upstash_endpoint.redis_server import RedisServer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks")

MARGIN = 8.0  # seconds that a busy machine may add
NIGHTLY = os.environ.get("PROFILE") == "nightly"
TIMES = 3 if NIGHTLY else 1  # kills of each operation at a random moment
# What was not sent changes as little as half of it, and a reply that came as one that did not.
MOMENTS = [*Moment] if NIGHTLY else [Moment.HALF, Moment.RAN]
CLEARED, STORED_ANEW = 2 * PAGE + 100, 100


@dataclass(frozen=True, slots=True)
class State:
    """What others find in Redis: two answers, and whether there is a lease of the first."""

    question: str | None
    bystander: str | None = BYSTANDER
    leased: bool = False


EMPTY = State(None, None)
FIRST = State(NEW, None)
UNANSWERED = State(None)
ANSWERED = State(OLD)
RENEWED = State(NEW)
LEASED = State(None, leased=True)

Prepare = Callable[[Caller, Connection], object]


def nothing(caller: Caller, server: Connection) -> None:
    """Leave the database empty."""


def others(caller: Caller, server: Connection) -> None:
    """Store what is beside the question: its namespace and its tag have their epochs."""
    caller.update(SIBLING, OLD)
    caller.update(BYSTANDER, BYSTANDER, UNTAGGED)


def answered(caller: Caller, server: Connection) -> None:
    """Store all three."""
    others(caller, server)
    caller.update(QUESTION, OLD)


def unreadable(caller: Caller, server: Connection) -> None:
    """Store what nobody can read in the place of the answer."""
    others(caller, server)
    server.call("SET", key_of(caller), "rubbish", "EX", 60)


def cleared(caller: Caller, server: Connection, tag: str | None = None) -> None:
    """Store many answers, clear them, and store some of them and all three anew."""
    answered(caller, server)
    fill(server, "shop", key_of(caller), CLEARED)
    caller.cache.clear(tag=tag)
    answered(caller, server)
    fill(server, "shop", key_of(caller), STORED_ANEW)


def cleared_by_tag(caller: Caller, server: Connection) -> None:
    """Clear the tag of many answers, and store some of them and all three anew."""
    cleared(caller, server, "red")


def key_of(caller: Caller) -> str:
    return protected_request(caller.cache._call_of(QUESTION, MODEL)).key


@dataclass(frozen=True, slots=True)
class Case:
    """What is there before an operation, and after none, one, two … of its requests.

    The last state is also that after any further request.
    """

    prepare: Prepare
    states: tuple[State, ...]

    def after(self, requests: int) -> State:
        return self.states[min(requests, len(self.states) - 1)]


CASES: dict[str, Case] = {
    "lookup": Case(answered, (ANSWERED, ANSWERED)),
    "lookup of an answer under a tag it does not name": Case(answered, (ANSWERED,) * 3),
    "lookup of what is unreadable": Case(unreadable, (UNANSWERED,) * 3),
    "first update": Case(nothing, (EMPTY, EMPTY, FIRST)),
    "update": Case(others, (UNANSWERED, UNANSWERED, RENEWED)),
    "update without a lookup": Case(answered, (ANSWERED, RENEWED)),
    "refresh": Case(answered, (ANSWERED, ANSWERED, RENEWED)),
    "lease": Case(others, (UNANSWERED, UNANSWERED, LEASED, RENEWED)),
    "lease of a model that fails": Case(others, (UNANSWERED, UNANSWERED, LEASED, UNANSWERED)),
    "lease of an answer not to store": Case(others, (UNANSWERED, UNANSWERED, LEASED, LEASED)),
    "clear": Case(answered, (ANSWERED, EMPTY)),
    "clear of a tag": Case(answered, (ANSWERED, UNANSWERED)),
    "flush": Case(answered, (ANSWERED, EMPTY)),
    "delete": Case(answered, (ANSWERED, UNANSWERED)),
    "reclaim": Case(cleared, (ANSWERED,)),
    "reclaim of a tag": Case(cleared_by_tag, (ANSWERED,)),
    "protected update": Case(others, (UNANSWERED, UNANSWERED, RENEWED)),
    "protected clear of a tag": Case(answered, (ANSWERED, UNANSWERED)),
    "asynchronous lookup": Case(answered, (ANSWERED, ANSWERED)),
    "asynchronous update": Case(others, (UNANSWERED, UNANSWERED, RENEWED)),
    "asynchronous lease": Case(others, (UNANSWERED, UNANSWERED, LEASED, RENEWED)),
    "asynchronous lease of a model that fails": Case(
        others, (UNANSWERED, UNANSWERED, LEASED, UNANSWERED)
    ),
    "asynchronous clear": Case(answered, (ANSWERED, EMPTY)),
    "asynchronous delete": Case(answered, (ANSWERED, UNANSWERED)),
}
RECLAIMS = ("reclaim", "reclaim of a tag")
PAGES = 2  # at least, of a reclaim, each of two requests


@pytest.fixture(scope="module")
def processes(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    with nursery(checkout, tmp_path_factory.mktemp("empty")) as started:
        yield started


@pytest.fixture
def server(redis_server: RedisServer) -> Iterator[Connection]:
    connection = Connection(redis_server)
    yield connection
    connection.close()


@dataclass(frozen=True, slots=True)
class Ran:
    """How long an operation took until its process was killed, and how far a reclaim came."""

    seconds: float
    cursor: str


@dataclass(frozen=True, slots=True)
class Scene:
    """One operation, before a database that is prepared for it each time."""

    operation: str
    upstash: UpstashEndpoint
    server: Connection
    processes: Nursery
    before: Caller
    """One who used the cache before."""

    @property
    def case(self) -> Case:
        return CASES[self.operation]

    def prepare(self) -> None:
        """Have in the database what the operation is to find there."""
        self.server.call("FLUSHDB")
        self.case.prepare(self.before, self.server)

    def run(self, killer: Killer, *, at: float | None = None) -> Ran:
        """Have the operation done before ``killer``; ``at``: kill so many seconds later."""
        with proxying(self.upstash.url) as proxy:
            proxy.misbehave = killer
            pid = self.processes.start(self._job(proxy.url))
            began = time.monotonic()
            killer.victim.set_result(pid)
            if at is not None:
                time.sleep(at)
                killer.kill()
            told = self.processes.wait(pid)
            seconds = time.monotonic() - began
        return Ran(seconds, told[-1]["told"] if told else "0")

    def check(self, ran: int, cursor: str) -> None:
        """Check what is left after ``ran`` requests, and what the next process makes of it."""
        state = self.case.after(ran)
        self._check_what_is_left(state)
        pid = self.processes.start(self._job(self.upstash.url, survives=True, cursor=cursor))
        found = self.processes.wait(pid)[-1]
        assert found["found"] == {"question": state.question, "bystander": state.bystander}
        assert found["asked"] == state.question
        assert found["seconds"] < LEASE + MARGIN
        assert found["again"] == (state.question or NEXT)
        fresh = STORED_ANEW if self.operation in RECLAIMS else 0
        assert found["unknown"] == fresh, "a cleared answer is left, or a fresh one is not"
        assert found["used"] == USED

    def survivor(self) -> Caller:
        """Return one who waits patiently, in this process."""
        return Caller(self._job(self.upstash.url), lease=PATIENT)

    def leases(self) -> list[object]:
        """Return the leases there are."""
        names = self.server.call("KEYS", "*:lease:*")
        assert isinstance(names, list)
        return self.server.pipeline(("GET", name) for name in names)

    def _check_what_is_left(self, state: State) -> None:
        names = self.server.call("KEYS", "*")
        assert isinstance(names, list)
        left = dict(zip(names, self.server.pipeline(("PTTL", name) for name in names), strict=True))
        lasting = [name for name, milliseconds in left.items() if milliseconds == -1]
        assert [name for name in lasting if ":epoch" not in name] == [], (
            "epochs alone have no expiry"
        )
        leases = [milliseconds for name, milliseconds in left.items() if ":lease:" in name]
        assert len(leases) <= state.leased  # it may have ended by now
        assert [left for left in leases if not 0 <= left <= 1000 * LEASE] == []

    def _job(self, url: str, *, survives: bool = False, cursor: str = "0") -> Job:
        return Job(self.operation, url, self.upstash.token, survives, cursor)


@pytest.fixture(params=CASES)
def scene(
    request: pytest.FixtureRequest,
    upstash: UpstashEndpoint,
    server: Connection,
    processes: Nursery,
) -> Scene:
    before = Caller(Job(request.param, upstash.url, upstash.token))
    return Scene(request.param, upstash, server, processes, before)


def test_every_operation_is_killed() -> None:
    assert CASES.keys() == PERFORM.keys()


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_process_killed_at_any_step_harms_nobody(scene: Scene, moment: Moment) -> None:
    for step in itertools.count():
        killer = Killer(moment, step)
        scene.prepare()
        ran = scene.run(killer)
        if not killer.killed:
            break
        assert killer.ran == step + (moment in (Moment.RAN, Moment.REPLIED))
        scene.check(killer.ran, ran.cursor)
    if scene.operation in RECLAIMS:
        assert step >= 2 * PAGES
    else:
        assert step == len(scene.case.states) - 1


def test_a_process_killed_at_any_time_harms_nobody(scene: Scene) -> None:
    scene.prepare()
    seconds, chance = scene.run(Killer()).seconds, random.Random(scene.operation)
    for _ in range(TIMES):
        killer = Killer()
        scene.prepare()
        ran = scene.run(killer, at=seconds * chance.random())
        scene.check(killer.ran, ran.cursor)


@pytest.mark.parametrize("scene", ["lease", "asynchronous lease"], indirect=True)
@pytest.mark.parametrize(("moment", "step"), [(Moment.RAN, 1), (Moment.BEFORE, 2)])
def test_a_process_killed_while_it_waits_leaves_the_lease_to_who_has_it(
    scene: Scene, moment: Moment, step: int
) -> None:
    scene.prepare()
    holder, killer = scene.survivor(), Killer(moment, step)
    with holder.cache.policy(FLEET):
        assert holder.cache.lookup(QUESTION, MODEL) is None
        held = scene.leases()
        assert len(held) == 1
        scene.run(killer)
        assert killer.killed
        assert scene.leases() == held
        holder.cache.update(QUESTION, MODEL, answer(OLD))
    assert scene.leases() == []
    assert scene.survivor().lookup() == OLD
