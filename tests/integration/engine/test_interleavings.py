"""Every order in which lookups, stores, clears and a lost epoch can meet, on a real server.

A lookup, a store and a clear are one command each, and so one step. An answer is as old as the
lookup that missed before it was computed. After every step a reader looks: what it gets must be
younger than every clear that has happened.
"""

import itertools
from collections.abc import Iterator
from typing import Any, TypeVar

import pytest
from tests.integration.upstash.connection import Connection

from llm_cache import CachePolicy
from llm_cache._entries.envelope import Entry, body, head
from llm_cache._entries.keys import Keyspace
from llm_cache._protocol.clearing import clear
from llm_cache._protocol.drivers import run
from llm_cache._protocol.effects import Command, Operation
from llm_cache._protocol.lookup import Hit, Miss, lookup
from llm_cache._protocol.request import Request
from llm_cache._protocol.store import store
from upstash_endpoint.redis_server import RedisServer

KEYS = Keyspace("race")
HASH = "a" * 64
T = TypeVar("T")
# Two writers of two steps, a clear, a clear of the tag; and an epoch that gets lost. That last only
# where there was an epoch before: a writer that saw none could not tell a clear whose own epoch is
# lost again before the answer is stored.
ACTORS = {False: "1122CT", True: "1122CTL"}


@pytest.fixture
def server(redis_server: RedisServer) -> Iterator[Connection]:
    connection = Connection(redis_server)
    yield connection
    connection.close()


class Began:
    """The codec of answers that are the step at which their computation began."""

    name = "langchain"

    def serialize(self, answer: int) -> tuple[str, ...]:
        return (str(answer),)

    def read(self, entry: Entry) -> int:
        began: int = entry.answer[0]
        return began


def request(policy: CachePolicy) -> Request[int]:
    return Request((0, "", ()), KEYS, HASH, policy, Began(), lambda: 0.0)


class World:
    """One server, and when its answers were begun and its clears happened."""

    def __init__(self, server: Connection, policy: CachePolicy) -> None:
        self.server = server
        self.policy = policy
        self.steps = 0
        self.cleared_at = 0
        self.writers: dict[str, Iterator[None]] = {}

    def once(self, operation: Operation[T]) -> T:
        """Run an operation to its end."""
        return run(operation, self.ask)

    def ask(self, step: Command[Any]) -> Any:
        return self.server.call(*step.args)

    def read(self, policy: CachePolicy) -> Hit[int] | Miss[int]:
        return self.once(lookup(request(policy)))

    def writer(self, token: str) -> Iterator[None]:
        began = self.steps
        missed = self.read(CachePolicy(mode="refresh", tags=self.policy.tags))
        assert isinstance(missed, Miss)
        yield
        text = body(head(0.0, 60, "langchain"), [str(began)])
        seen = missed.epochs
        self.once(store(request(self.policy), body=text, ttl=60, epochs=seen, token=token))
        yield

    def step(self, actor: str) -> None:
        self.steps += 1
        if actor in "12":
            next(self.writers.setdefault(actor, self.writer(f"{actor}{self.steps}")))
        elif actor == "L":
            self.server.call("DEL", KEYS.epoch)
        else:
            tag = "t" if actor == "T" else None
            self.once(clear(KEYS, token=f"{actor}{self.steps}", now=0.0, tag=tag))
            if actor == "C" or self.policy.tags:
                self.cleared_at = self.steps

    def check(self) -> None:
        """Look as one who names the tags, and as one who does not."""
        for policy in {self.policy, CachePolicy()}:
            found = self.read(policy)
            if isinstance(found, Hit):
                assert found.answer > self.cleared_at


@pytest.mark.parametrize("tags", [None, ("t",)])
@pytest.mark.parametrize("epoch_first", [False, True])
def test_no_order_of_steps_serves_an_answer_older_than_a_clear(
    server: Connection, tags: tuple[str, ...] | None, epoch_first: bool
) -> None:
    every = set(itertools.permutations(ACTORS[epoch_first]))
    # The writers are alike, so 1 always begins: an order in which 2 does is one of these renamed.
    orders = sorted(order for order in every if order.index("1") < order.index("2"))
    assert len(orders) == (630 if epoch_first else 90)
    for order in orders:
        server.call("FLUSHDB")
        world = World(server, CachePolicy(tags=tags))
        if epoch_first:
            server.call("SET", KEYS.epoch, "cbefore")
        for actor in order:
            world.step(actor)
            world.check()


def test_an_answer_that_no_clear_has_met_is_served(server: Connection) -> None:
    server.call("FLUSHDB")
    world = World(server, CachePolicy(tags=("t",)))
    for actor in "CT1221":
        world.step(actor)
    assert isinstance(world.read(CachePolicy(tags=("t",))), Hit)
    assert isinstance(world.read(CachePolicy()), Hit)
