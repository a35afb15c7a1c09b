"""What hypothesis may do to the world, one step at a time."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.integration.properties import events, inspection, policies
from tests.integration.properties.callers import Caller
from tests.integration.properties.model import epoch_key
from tests.integration.properties.policies import LEASE, PROMPTS, TAGS, TENANTS, Setup, of, seldom
from tests.integration.properties.processes import Process
from tests.integration.properties.wire import GARBLED, LOST, REFUSED, Database
from tests.integration.properties.world import Kind, World

from llm_cache import CachePolicy
from llm_cache._entries.keys import Keyspace

T = TypeVar("T")
MOST_AT_ONCE = 6
some = st.integers(0, 7)
prompts = of("p", "p", *PROMPTS)
tag = of(None, *TAGS)
tenant = of(None, None, *TENANTS)
laters = of(0, 0.5, 1, 1.5, 2, 3, 5)
mostly = st.sampled_from((True, True, True, False))
hows = of("asked", "plainly", "unasked")
faults = st.lists(of("", REFUSED, LOST, GARBLED), min_size=1, max_size=3)
hears = of("answer at once", "answer at once", "answer", "answer", "fail", "again")
MEANWHILE = (
    *("a clear", "another asks", "a clear of a tag", "a lost epoch", "the lease of another"),
    "a clear of a tenant",
)
BEFALLS = (
    "commands fail",
    "commands fail",
    "a clock is set",
    "a process dies",
    "an epoch is lost",
    "memory is reclaimed",
    "an answer is deleted",
    "an entry is spoilt",
)
SPOILT = (
    lambda _: "rubbish",
    lambda text: text[: len(text) // 2],
    lambda text: text.replace('"v":1', '"v":2'),
    lambda text: text.replace('"kind"', '"dnik"'),
    lambda text: text.replace('"epochs":{', '"epochs":{"../x":"y",'),
    lambda _: "[" * 5000,
)


def pick(among: Sequence[T], number: int) -> T:
    return among[number % len(among)]


class Machine(RuleBasedStateMachine):
    """Draws a few processes and policies at first, and then what they do."""

    def __init__(self, database: Database, kinds: st.SearchStrategy[CachePolicy]) -> None:
        super().__init__()
        self.world = World(database)
        self.kinds = kinds
        self.policies: list[CachePolicy] = []
        self.watcher = Process(Setup(), self.world.wire, self.world.time)

    @initialize(
        data=st.data(),
        setups=st.lists(policies.setups, min_size=1, max_size=3),
    )
    def begin(self, data: Any, setups: list[Setup]) -> None:
        self.policies = data.draw(st.lists(self.kinds, min_size=1, max_size=3))
        for setup in setups:
            self.world.start(setup)

    # --- callers, step by step --------------------------------------------------------------------

    @precondition(lambda self: len(self.world.blocks) < MOST_AT_ONCE)
    @rule(who=some, which=some, outer=some, seconds=seldom(of(1, 4, 8)))
    def open(self, who: int, which: int, outer: int, seconds: float | None) -> None:
        """Open a policy block, at times in another and before a deadline."""
        around = pick(self.policies, outer) if outer >= 6 else CachePolicy()
        self.world.open(self._process(who), pick(self.policies, which), around, seconds)

    @precondition(lambda self: self.world.blocks and len(self.world.callers) < MOST_AT_ONCE)
    @rule(where=some, prompt=prompts, may_wait=mostly)
    def ask(self, where: int, prompt: str, may_wait: bool) -> None:
        self.world.ask(pick(self.world.blocks, where), prompt, may_wait=may_wait)

    @precondition(lambda self: self._ready())
    @rule(who=some, slow=st.booleans())
    def step(self, who: int, slow: bool) -> None:
        self.world.step(pick(self._ready(), who), slow=slow)

    @precondition(lambda self: self._ready())
    @rule(who=some)
    def go_on(self, who: int) -> None:
        """Run one caller as far as it comes without waiting."""
        caller = pick(self._ready(), who)
        while caller.ready:
            self.world.step(caller)

    def _ready(self) -> list[Caller]:
        return [caller for caller in self.world.callers if caller.ready]

    @precondition(lambda self: any(not caller.running for caller in self.world.callers))
    @rule(who=some, kind=policies.answers, how=hears, meanwhile=of("", "", *MEANWHILE))
    def hear(self, who: int, kind: Kind, how: str, meanwhile: str) -> None:
        """Let the model answer or fail one who has asked it, or be asked again."""
        caller = pick([one for one in self.world.callers if not one.running], who)
        self._happen(meanwhile, caller)
        if how.startswith("answer"):
            self.world.answer(caller, kind)
            if how == "answer at once" and caller.running:
                self.world.run(caller)
                for other in self._ready():
                    self.world.step(other)
        elif how == "fail":
            self.world.fail(caller)
        else:
            self.world.ask_again(caller)

    def _happen(self, what: str, caller: Caller) -> None:
        """Let something happen while the model is at work for a caller."""
        tags = caller.policy.tags or ()
        if what == "a clear":
            events.clear(self.world, caller.process)
        elif what == "a clear of a tag" and tags:
            events.clear(self.world, caller.process, tags[0])
        elif what == "a clear of a tenant" and caller.policy.tenant:
            events.clear(self.world, caller.process, tenant=caller.policy.tenant)
        elif what == "a lost epoch":
            events.lose(self.world, Keyspace(caller.which[0]).epoch)
        elif what == "the lease of another":
            self.world.database.advance(LEASE + 1)
        if what in MEANWHILE[:2] or what == "the lease of another":
            self._ask_as_well(caller, pick(self.policies, self.world.history.at))

    def _ask_as_well(self, caller: Caller, policy: CachePolicy) -> None:
        """Let another ask the same, and go on as far as it comes without waiting."""
        policy = replace(policy, tags=caller.policy.tags)
        process = pick([caller.process, *self.world.processes], self.world.history.at)
        block = self.world.open(process, policy, CachePolicy(), None)
        other = self.world.ask(block, caller.prompt)
        while other.ready:
            self.world.step(other)

    @precondition(lambda self: self._closable())
    @rule(who=some)
    def close(self, who: int) -> None:
        self.world.close(pick(self._closable(), who))

    def _closable(self) -> list[Any]:
        busy = [caller.block for caller in self.world.callers if caller.running]
        return [block for block in self.world.blocks if block not in busy]

    # --- callers, all at once ---------------------------------------------------------------------

    @rule(who=some, which=some, prompt=prompts, kind=policies.answers, how=hows, later=laters)
    def call(self, who: int, which: int, prompt: str, kind: Kind, how: str, later: float) -> None:
        """Look up, have the model asked, store, and look again later."""
        policy, process = pick(self.policies, which), self._process(who)
        if how == "plainly":
            policy = replace(policy, mode=None, ttl=None)
        block = self.world.open(process, policy, CachePolicy(), None)
        if how == "unasked":
            self.world.run(self.world.tell(block, prompt, kind))
        else:
            caller = self.world.run(self.world.ask(block, prompt))
            if caller.result and caller.result.found is None:
                self.world.answer(caller, kind)
                self.world.run(caller)
        self.world.close(block)
        self.world.database.advance(later)
        policy = replace(pick(self.policies, which + int(later)), mode=None, coalesce=None)
        block = self.world.open(process, policy, CachePolicy(), None)
        self.world.run(self.world.ask(block, prompt))
        self.world.close(block)

    @precondition(lambda self: len(self.world.callers) < MOST_AT_ONCE)
    @rule(whos=st.lists(some, min_size=2, max_size=4), which=some, order=st.lists(some, max_size=9))
    def crowd(self, whos: list[int], which: int, order: list[int]) -> None:
        """Let several ask the same, and go on in some order; 6 and 7 are in the block before."""
        for who in whos:
            if who < 6 or not self.world.blocks:
                policy = pick(self.policies, which)
                self.world.open(self._process(who), policy, CachePolicy(), None)
            self.world.ask(self.world.blocks[-1], PROMPTS[0])
        for who in order:
            if ready := self._ready():
                self.world.step(pick(ready, who))

    # --- what befalls them ------------------------------------------------------------------------

    @rule(who=some, name=tag, tenant=tenant)
    def clear(self, who: int, name: str | None, tenant: str | None) -> None:
        named = {"tenant": tenant} if tenant else {"tag": name}
        events.clear(self.world, self._process(who), **named)

    @rule(seconds=of(0.25, 0.5, 1, 2, 5, 10))
    def wait(self, seconds: float) -> None:
        self.world.database.advance(seconds)

    @precondition(lambda self: self.world.keys)
    @rule(what=of(*BEFALLS), who=some, which=some, name=tag, faults=faults)
    def befall(self, what: str, who: int, which: int, name: str | None, faults: list[str]) -> None:
        world, process = self.world, self._process(who)
        prefix = pick(sorted({key[0] for key in world.keys}), which)
        if what == "commands fail":
            world.wire.faults.extend(faults)
        elif what == "a clock is set":
            process.ahead += pick((-2, -0.5, 0.5, 2), which)
        elif what == "a process dies":
            world.die(process)
        elif what == "an epoch is lost":
            events.lose(world, epoch_key(prefix, tag=name))
        elif what == "memory is reclaimed":
            events.reclaim(world, prefix)
        elif what == "an answer is deleted":
            events.delete(world, process, pick(self.policies, which), PROMPTS[0])
        elif world.history.latest:
            events.spoil(world, pick(sorted(world.history.latest), who), pick(SPOILT, which))

    def _process(self, number: int) -> Process:
        return pick(self.world.processes, number)

    # --- what is always so ------------------------------------------------------------------------

    @invariant()
    def what_is_stored_ends_in_time_and_what_is_seen_may_be_seen(self) -> None:
        if self.world.database.changed:
            inspection.check_database(self.world)
            inspection.check_by_looking(self.world, self.watcher)

    def teardown(self) -> None:
        self.world.end()
