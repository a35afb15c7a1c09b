"""docs/architecture.md: the table of packages, and the states of a single flight."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import pytest
from langchain_core.outputs import Generation
from tests.repository.pages import blocks, text_of
from tests.repository.test_imports import ALLOWED, VOCABULARY
from tests.wait_log import logged_waits
from upstash_redis import Redis

from llm_cache import CachePolicy, UpstashRedisCache
from upstash_endpoint.children import wait_until

PAGE = "docs/architecture.md"
ROW = re.compile(r"^\| `(\w+)` \| [^|]+ \| ([^|]*)\|$", re.MULTILINE)
TRANSITION = re.compile(r"^ +(\S+) --> (\w+): ", re.MULTILINE)
CALL, ANSWER, BLANK = ("prompt", "model"), [Generation(text="yes")], [Generation(text="")]
LEASES, ENTRIES = "states:lease:*", "states:entry:*"


def test_table_of_packages_shows_the_allowed_imports() -> None:
    names = re.compile(r"`(_\w+)`")
    before, _, table = text_of(PAGE).partition("| package |")
    assert {package: set(names.findall(row)) for package, row in ROW.findall(table)} == ALLOWED
    assert set(names.findall(before)) == VOCABULARY


@dataclass
class Caller:
    """A caller on a machine of its own; the policy block ends with ``block``."""

    redis: Redis
    lease: float = 30.0
    block: ExitStack = field(default_factory=ExitStack)
    answer: list[Generation] | None = None
    leads: bool = False

    def __post_init__(self) -> None:
        self.cache = UpstashRedisCache(self.redis, namespace="states", lease=self.lease)

    def look_up(self, leader: str = "") -> None:
        self.block.enter_context(self.cache.policy(CachePolicy(coalesce="fleet")))
        self.answer = self.cache.lookup(*CALL)
        self.leads = lease_of(self.redis) not in {"", leader} and not uncacheable(self.redis)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Wait for the leader in a thread, until the end of the block."""
        thread = threading.Thread(target=self._wait, args=[lease_of(self.redis)])
        with logged_waits() as waits:
            thread.start()
            waits.until(1)
            yield
            thread.join()

    def _wait(self, leader: str) -> None:
        with self.block:
            self.look_up(leader)


def lease_of(redis: Redis) -> str:
    return "".join(str(redis.get(key)) for key in redis.keys(LEASES))


def uncacheable(redis: Redis) -> bool:
    return lease_of(redis).startswith("-")


@pytest.fixture
def leader(redis: Redis) -> Iterator[Caller]:
    caller = Caller(redis)
    with caller.block:
        caller.look_up()
        yield caller


def leads(leader: Caller) -> bool:
    return leader.leads


def stores(leader: Caller) -> bool:
    leader.cache.update(*CALL, ANSWER)
    return bool(leader.redis.keys(ENTRIES)) and not lease_of(leader.redis)


def computes_what_is_not_stored(leader: Caller) -> bool:
    leader.cache.update(*CALL, BLANK)
    return not leader.redis.keys(ENTRIES) and uncacheable(leader.redis)


def leaves_its_block(leader: Caller) -> bool:
    leader.block.close()
    wait_until(lambda: not lease_of(leader.redis), seconds=10, what="the release")
    return not leader.redis.keys(ENTRIES)


def dies(leader: Caller) -> bool:
    (key,) = leader.redis.keys(LEASES)
    leader.redis.pexpire(key, 1)
    wait_until(lambda: not lease_of(leader.redis), seconds=10, what="the expiry")
    return not leader.redis.keys(ENTRIES)


def after(act: Callable[[Caller], bool], leader: Caller, lease: float = 30.0) -> Caller:
    """Return a waiter after what its leader did."""
    waiter = Caller(leader.redis, lease)
    with waiter.waiting():
        act(leader)
    return waiter


def waits(leader: Caller) -> bool:
    return after(stores, leader).answer is not None  # ``waiting`` has seen that it waits


def hits(leader: Caller) -> bool:
    return after(stores, leader).answer == ANSWER


def takes_over(leader: Caller) -> bool:
    waiter = after(dies, leader)
    return waiter.answer is None and waiter.leads


def computes_alone(leader: Caller) -> bool:
    waiter = after(computes_what_is_not_stored, leader)
    return waiter.answer is None and not waiter.leads


def gives_up(leader: Caller) -> bool:
    waiter = after(leads, leader, lease=0.2)
    return waiter.answer is None and not waiter.leads


SEEN: dict[tuple[str, str], tuple[Callable[[Caller], bool], ...]] = {
    ("[*]", "Leader"): (leads,),
    ("[*]", "Waiter"): (waits,),
    ("Leader", "Stored"): (stores,),
    ("Leader", "Uncacheable"): (computes_what_is_not_stored,),
    ("Leader", "Released"): (leaves_its_block,),
    ("Leader", "Expired"): (dies,),
    ("Waiter", "Hit"): (hits,),
    ("Waiter", "Leader"): (takes_over,),
    ("Waiter", "Alone"): (computes_alone, gives_up),
}


def test_every_transition_of_the_diagram_is_seen() -> None:
    (diagram,) = (block.text for block in blocks(PAGE) if block.language == "mermaid")
    assert set(TRANSITION.findall(diagram)) == set(SEEN)


@pytest.mark.parametrize("seen", [it for several in SEEN.values() for it in several])
def test_transition_of_the_diagram_happens(seen: Callable[[Caller], bool], leader: Caller) -> None:
    assert seen(leader)
