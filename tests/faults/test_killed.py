"""A process killed at any moment leaves nothing that harms the next process."""

import itertools
import os
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.context import BaseContext

import pytest
from tests.faults.faulty_proxy import faulty_proxy
from tests.faults.killable_process import (
    FLEET,
    LEASE,
    MODEL,
    NEXT,
    NOTHING_WRONG,
    OLD,
    OPERATIONS,
    PATIENCE,
    QUESTION,
    RED,
    STORED_AGAIN,
    CacheClient,
    Case,
    Job,
    State,
    answer,
    survive,
)
from tests.faults.process_killer import Killable, Killer, Moment, fork_server
from tests.integration.upstash.connection import Connection

from upstash_endpoint.endpoint import UpstashEndpoint
from upstash_endpoint.redis_server import RedisServer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks")

MARGIN = 8.0  # seconds that a busy machine may add
NIGHTLY = os.environ.get("PROFILE") == "nightly"
TIMES = 3 if NIGHTLY else 1  # kills of each operation at a random moment
# BEFORE changes as little as HALF, and REPLIED as much as RAN.
MOMENTS = [*Moment] if NIGHTLY else [Moment.HALF, Moment.RAN]
PAGES = 2  # of a reclaim at least, with two requests each


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BaseContext]:
    with fork_server(tmp_path_factory.mktemp("empty")) as started:
        yield started


@pytest.fixture
def server(redis_server: RedisServer) -> Iterator[Connection]:
    connection = Connection(redis_server)
    yield connection
    connection.close()


@dataclass(frozen=True, slots=True)
class Scene:
    """One operation, on a database prepared for it each time."""

    operation: str
    upstash: UpstashEndpoint
    server: Connection
    context: BaseContext

    @property
    def case(self) -> Case:
        return OPERATIONS[self.operation]

    def client(self) -> CacheClient:
        """Return a client of this process with a long lease."""
        job = Job(self.operation, self.upstash.url, self.upstash.token)
        return CacheClient(job, lease=PATIENCE / 2)

    def prepare(self) -> None:
        self.server.call("FLUSHDB")
        self.case.prepare(self.client(), self.server)

    def run(self, killer: Killer, *, at: float | None = None) -> tuple[float, str]:
        """Run under ``killer``, which kills after ``at`` seconds; return seconds and cursor."""
        with faulty_proxy(self.upstash.url) as proxy:
            proxy.misbehave = killer
            job = Job(self.operation, proxy.url, self.upstash.token)
            process = Killable.start(self.context, job)
            began = time.monotonic()
            killer.process.set_result(process.process)
            if at is not None:
                time.sleep(at)
                killer.kill()
            cursors = process.wait()
            seconds = time.monotonic() - began
        return seconds, cursors[-1] if cursors else "0"

    def check(self, ran: int, cursor: str) -> None:
        """Check what ``ran`` requests left, and that this process can use the cache."""
        state, client = self.case.after(ran), self.client()
        self._check_keys(state)
        seconds, *found = client.run(survive(client, cursor))
        assert found == [
            *(state.question, state.bystander, state.question, state.question or NEXT),
            STORED_AGAIN
            if self.case.reclaims
            else 0,  # entries that are neither cleared nor missing
            *NOTHING_WRONG,
        ]
        assert isinstance(seconds, float)
        assert seconds < LEASE + MARGIN

    def keys(self, pattern: str, command: str) -> dict[str, object]:
        names = self.server.call("KEYS", pattern)
        assert isinstance(names, list)
        return dict(zip(names, self.server.pipeline((command, it) for it in names), strict=True))

    def _check_keys(self, state: State) -> None:
        left = self.keys("*", "PTTL")
        assert [key for key, ttl in left.items() if ttl == -1 and ":epoch" not in key] == []
        leases = [ttl for key, ttl in left.items() if ":lease:" in key]
        assert len(leases) <= state.leased  # it may have ended by now
        assert all(isinstance(ttl, int) and 0 <= ttl <= 1000 * LEASE for ttl in leases)


@pytest.fixture(params=OPERATIONS)
def scene(
    request: pytest.FixtureRequest,
    upstash: UpstashEndpoint,
    server: Connection,
    context: BaseContext,
) -> Scene:
    return Scene(request.param, upstash, server, context)


@pytest.mark.parametrize("moment", MOMENTS)
def test_process_killed_at_any_step_harms_no_other(scene: Scene, moment: Moment) -> None:
    for step in itertools.count():
        killer = Killer(moment, step)
        scene.prepare()
        _, cursor = scene.run(killer)
        if not killer.killed:
            break
        assert killer.ran == step + (moment in (Moment.RAN, Moment.REPLIED))
        scene.check(killer.ran, cursor)
    steps = 2 * PAGES if scene.case.reclaims else len(scene.case.states) - 1
    assert step >= steps if scene.case.reclaims else step == steps


def test_process_killed_at_a_random_time_harms_no_other(scene: Scene) -> None:
    scene.prepare()
    (seconds, _), chance = scene.run(Killer()), random.Random(scene.operation)
    for _ in range(TIMES):
        killer = Killer()
        scene.prepare()
        _, cursor = scene.run(killer, at=seconds * chance.random())
        scene.check(killer.ran, cursor)


@pytest.mark.parametrize("scene", ["lease", "asynchronous lease"], indirect=True)
@pytest.mark.parametrize(("moment", "step"), [(Moment.RAN, 1), (Moment.BEFORE, 2)])
def test_killed_waiter_leaves_the_leader_its_lease(scene: Scene, moment: Moment, step: int) -> None:
    scene.prepare()
    leader, killer = scene.client(), Killer(moment, step)
    with leader.cache.policy(FLEET):
        assert leader.cache.lookup(QUESTION, MODEL) is None
        held = scene.keys("*:lease:*", "GET")
        assert len(held) == 1
        scene.run(killer)
        assert killer.killed
        assert scene.keys("*:lease:*", "GET") == held
        leader.cache.update(QUESTION, MODEL, answer(OLD))
    assert scene.keys("*:lease:*", "GET") == {}
    assert scene.client().run(scene.client().ask(RED)) == OLD
