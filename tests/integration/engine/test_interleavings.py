"""Every order of lookups, stores, clears and a lost epoch, on a real server.

A lookup, a store and a clear are one command each, and so one step. The age of an answer begins at
the lookup before it. After each step, every hit must be younger than every clear so far.
"""

import itertools
from collections.abc import Iterator

import pytest
from tests.integration.upstash.connection import Connection

from llm_cache import CachePolicy
from llm_cache._entries.envelope import Entry, encode_body, metadata
from llm_cache._entries.keys import Keyspace
from llm_cache._protocol.clearing import clear
from llm_cache._protocol.drivers import run
from llm_cache._protocol.effects import Command
from llm_cache._protocol.lookup import Hit, Miss, lookup
from llm_cache._protocol.request import Request
from llm_cache._protocol.store import store

KEYS = Keyspace("race")
# Two writers of two steps each, a clear, a clear of the tag; and a lost epoch, only if there was
# one at first: a writer that saw none cannot detect a clear whose own epoch is lost before the
# store.
STEPS = {False: "1122CT", True: "1122CTL"}


class BeganCodec:
    """The codec of answers that are the step of their lookup."""

    name = "langchain"

    def serialize(self, answer: int) -> tuple[str, ...]:
        return (str(answer),)

    def read(self, entry: Entry) -> int:
        began: int = entry.answer[0]
        return began


def request(policy: CachePolicy) -> Request[int]:
    return Request((0, "", ()), KEYS, "a" * 64, policy, BeganCodec(), lambda: 0.0)


class Race:
    """One order of steps, and the step of the last clear."""

    def __init__(self, server: Connection, policy: CachePolicy) -> None:
        self.server = server
        self.policy = policy
        self.steps = 0
        self.cleared_at = 0
        self.writers: dict[str, Iterator[None]] = {}

    def execute(self, command: Command[object]) -> object:
        return self.server.call(*command.args)

    def lookup(self, policy: CachePolicy) -> Hit[int] | Miss[int]:
        return run(lookup(request(policy)), self.execute)

    def writer(self, token: str) -> Iterator[None]:
        began = self.steps
        miss = self.lookup(CachePolicy(mode="refresh", tags=self.policy.tags))
        assert isinstance(miss, Miss)
        yield
        text = encode_body(metadata(0.0, 60, "langchain"), [str(began)])
        storing = store(request(self.policy), body=text, ttl=60, epochs=miss.epochs, token=token)
        run(storing, self.execute)
        yield

    def step(self, actor: str) -> None:
        self.steps += 1
        if actor in "12":
            next(self.writers.setdefault(actor, self.writer(f"{actor}{self.steps}")))
        elif actor == "L":
            self.server.call("DEL", KEYS.epoch)
        else:
            tag = "t" if actor == "T" else None
            run(clear(KEYS, token=f"{actor}{self.steps}", now=0.0, tag=tag), self.execute)
            if actor == "C" or self.policy.tags:
                self.cleared_at = self.steps

    def check(self) -> None:
        for policy in {self.policy, CachePolicy()}:
            found = self.lookup(policy)
            if isinstance(found, Hit):
                assert found.answer > self.cleared_at


@pytest.mark.parametrize("tags", [None, ("t",)])
@pytest.mark.parametrize("epoch_first", [False, True])
def test_no_order_of_steps_serves_an_answer_older_than_a_clear(
    server: Connection, tags: tuple[str, ...] | None, epoch_first: bool
) -> None:
    every = set(itertools.permutations(STEPS[epoch_first]))
    # The writers are alike, so only the orders in which 1 begins are run.
    orders = sorted(order for order in every if order.index("1") < order.index("2"))
    assert len(orders) == (630 if epoch_first else 90)
    for order in orders:
        server.call("FLUSHDB")
        race = Race(server, CachePolicy(tags=tags))
        if epoch_first:
            server.call("SET", KEYS.epoch, "cbefore")
        for actor in order:
            race.step(actor)
            race.check()


def test_answer_is_served_if_its_lookup_followed_every_clear(server: Connection) -> None:
    tagged = CachePolicy(tags=("t",))
    race = Race(server, tagged)
    for actor in "CT1221":
        race.step(actor)
    assert all(isinstance(race.lookup(policy), Hit) for policy in (tagged, CachePolicy()))
