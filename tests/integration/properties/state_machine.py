"""The steps of a simulation that Hypothesis may take."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.integration.properties import database_checks, disturbances, strategies
from tests.integration.properties.caller import Caller
from tests.integration.properties.database import GARBLED, LOST, REFUSED, Database
from tests.integration.properties.history import epoch_key
from tests.integration.properties.process import Block, Process
from tests.integration.properties.simulation import MakeAnswer, Simulation
from tests.integration.properties.strategies import (
    LEASE,
    PROMPTS,
    TAGS,
    TENANTS,
    Setup,
    of,
    seldom,
)

from llm_cache import CachePolicy
from llm_cache._entries.keys import Keyspace

T = TypeVar("T")
MAX_AT_ONCE = 6
number = st.integers(0, 7)
seldom_false = st.sampled_from((True, True, True, False))
faults = st.lists(of("", REFUSED, LOST, GARBLED), min_size=1, max_size=3)
endings = of(*["answer at once"] * 2, *["answer"] * 2, "fail", "retry")
MEANWHILE = (
    *("clear", "another lookup", "clear of a tag", "lost epoch", "expired lease"),
    "clear of a tenant",
)
DISTURBANCES = (
    *["failed commands"] * 2,
    *("changed clock", "killed process", "lost epoch", "reclaim", "deletion", "rubbish"),
)
RUBBISH = (
    lambda _: "rubbish",
    lambda text: text[: len(text) // 2],
    lambda text: text.replace('"v":1', '"v":2'),
    lambda text: text.replace('"codec"', '"cedoc"'),
    lambda text: text.replace('"epochs":{', '"epochs":{"../x":"y",'),
    lambda _: "[" * 5000,
)


def pick(among: Sequence[T], number: int) -> T:
    return among[number % len(among)]


class StateMachine(RuleBasedStateMachine):
    """Draws a few processes and policies first, then their steps."""

    def __init__(self, database: Database, policy: st.SearchStrategy[CachePolicy]) -> None:
        super().__init__()
        self.simulation = Simulation(database)
        self.policy = policy
        self.policies: list[CachePolicy] = []
        self.watcher = Process(Setup(), self.simulation.store, self.simulation.time)

    @initialize(data=st.data(), setups=st.lists(strategies.setups, min_size=1, max_size=3))
    def begin(self, data: Any, setups: list[Setup]) -> None:
        self.policies = data.draw(st.lists(self.policy, min_size=1, max_size=3))
        for setup in setups:
            self.simulation.start(setup)

    # --- callers, step by step --------------------------------------------------------------------

    @precondition(lambda self: len(self.simulation.blocks) < MAX_AT_ONCE)
    @rule(process=number, inner=number, outer=number, seconds=seldom(of(1, 4, 8)))
    def open(self, process: int, inner: int, outer: int, seconds: float | None) -> None:
        """Open a policy block, seldom inside another or with a time limit."""
        around = pick(self.policies, outer) if outer >= 6 else None
        self.simulation.open(self._process(process), pick(self.policies, inner), around, seconds)

    @precondition(
        lambda self: self.simulation.blocks and len(self.simulation.callers) < MAX_AT_ONCE
    )
    @rule(block=number, prompt=of("p", "p", *PROMPTS), may_wait=seldom_false)
    def lookup(self, block: int, prompt: str, may_wait: bool) -> None:
        self.simulation.lookup(pick(self.simulation.blocks, block), prompt, may_wait=may_wait)

    @precondition(lambda self: self._ready())
    @rule(caller=number, slow=st.booleans())
    def run_step(self, caller: int, slow: bool) -> None:
        self.simulation.run_step(pick(self._ready(), caller), slow=slow)

    @precondition(lambda self: self._ready())
    @rule(caller=number)
    def run_until_wait(self, caller: int) -> None:
        self._run_until_wait(pick(self._ready(), caller))

    def _run_until_wait(self, caller: Caller) -> None:
        while caller.ready:
            self.simulation.run_step(caller)

    def _ready(self) -> list[Caller]:
        return [caller for caller in self.simulation.callers if caller.ready]

    @precondition(lambda self: any(not caller.running for caller in self.simulation.callers))
    @rule(who=number, make=strategies.answers, ending=endings, meanwhile=of("", "", *MEANWHILE))
    def end_model_call(self, who: int, make: MakeAnswer, ending: str, meanwhile: str) -> None:
        """End a model call, or look up again."""
        caller = pick([one for one in self.simulation.callers if not one.running], who)
        self._disturb_model_call(meanwhile, caller)
        if ending.startswith("answer"):
            self.simulation.answer(caller, make)
            if ending == "answer at once" and caller.running:
                self.simulation.finish(caller)
                for other in self._ready():
                    self.simulation.run_step(other)
        elif ending == "fail":
            self.simulation.fail(caller)
        else:
            self.simulation.retry(caller)

    def _disturb_model_call(self, what: str, caller: Caller) -> None:
        tags, tenant = caller.policy.tags or (), caller.policy.tenant
        if what == "clear":
            disturbances.clear(self.simulation, caller.process)
        elif what == "clear of a tag" and tags:
            disturbances.clear(self.simulation, caller.process, tags[0])
        elif what == "clear of a tenant" and tenant:
            disturbances.clear(self.simulation, caller.process, tenant=tenant)
        elif what == "lost epoch":
            disturbances.lose_epoch(self.simulation, Keyspace(caller.which[0]).epoch)
        elif what == "expired lease":
            self.simulation.database.advance(LEASE + 1)
        if what in {"clear", "another lookup", "expired lease"}:
            self._look_up_too(caller, pick(self.policies, self.simulation.history.at))

    def _look_up_too(self, caller: Caller, policy: CachePolicy) -> None:
        """Let another caller look up the same answer until it waits."""
        processes = [caller.process, *self.simulation.processes]
        process = pick(processes, self.simulation.history.at)
        block = self.simulation.open(process, replace(policy, tags=caller.policy.tags))
        self._run_until_wait(self.simulation.lookup(block, caller.prompt))

    @precondition(lambda self: self._closable())
    @rule(block=number)
    def close(self, block: int) -> None:
        self.simulation.close(pick(self._closable(), block))

    def _closable(self) -> list[Block]:
        busy = [caller.block for caller in self.simulation.callers if caller.running]
        return [block for block in self.simulation.blocks if block not in busy]

    # --- several steps at once --------------------------------------------------------------------

    @rule(
        process=number,
        which=number,
        prompt=of("p", "p", *PROMPTS),
        make=strategies.answers,
        how=of("policy", "plain policy", "without lookup"),
        later=of(0, 0.5, 1, 1.5, 2, 3, 5),
    )
    def call(
        self, process: int, which: int, prompt: str, make: MakeAnswer, how: str, later: float
    ) -> None:
        """Look up, call the model and store; then look up again."""
        simulation, made = self.simulation, self._process(process)
        policy = pick(self.policies, which)
        if how == "plain policy":
            policy = replace(policy, mode=None, ttl=None)
        block = simulation.open(made, policy)
        if how == "without lookup":
            simulation.finish(simulation.update(block, prompt, make))
        else:
            caller = simulation.finish(simulation.lookup(block, prompt))
            if caller.result and caller.result.found is None:
                simulation.answer(caller, make)
                simulation.finish(caller)
        simulation.close(block)
        simulation.database.advance(later)
        policy = replace(pick(self.policies, which + int(later)), mode=None, coalesce=None)
        block = simulation.open(made, policy)
        simulation.finish(simulation.lookup(block, prompt))
        simulation.close(block)

    @precondition(lambda self: len(self.simulation.callers) < MAX_AT_ONCE)
    @rule(
        processes=st.lists(number, min_size=2, max_size=4),
        which=number,
        order=st.lists(number, max_size=9),
    )
    def crowd(self, processes: list[int], which: int, order: list[int]) -> None:
        """Run several lookups of one answer in some order; 6 and 7 share the block before."""
        for process in processes:
            if process < 6 or not self.simulation.blocks:
                self.simulation.open(self._process(process), pick(self.policies, which))
            self.simulation.lookup(self.simulation.blocks[-1], PROMPTS[0])
        for caller in order:
            if ready := self._ready():
                self.simulation.run_step(pick(ready, caller))

    # --- disturbances -----------------------------------------------------------------------------

    @rule(process=number, tag=of(None, *TAGS), tenant=of(None, None, *TENANTS))
    def clear(self, process: int, tag: str | None, tenant: str | None) -> None:
        named = {"tenant": tenant} if tenant else {"tag": tag}
        disturbances.clear(self.simulation, self._process(process), **named)

    @rule(seconds=of(0.25, 0.5, 1, 2, 5, 10))
    def wait(self, seconds: float) -> None:
        self.simulation.database.advance(seconds)

    @precondition(lambda self: self.simulation.keys)
    @rule(what=of(*DISTURBANCES), who=number, which=number, tag=of(None, *TAGS), faults=faults)
    def disturb(self, what: str, who: int, which: int, tag: str | None, faults: list[str]) -> None:
        simulation, process = self.simulation, self._process(who)
        prefix = pick(sorted({key[0] for key in simulation.keys}), which)
        if what == "failed commands":
            simulation.store.faults.extend(faults)
        elif what == "changed clock":
            process.ahead += pick((-2, -0.5, 0.5, 2), which)
        elif what == "killed process":
            simulation.kill(process)
        elif what == "lost epoch":
            disturbances.lose_epoch(simulation, epoch_key(prefix, tag=tag))
        elif what == "reclaim":
            disturbances.reclaim(simulation, prefix)
        elif what == "deletion":
            disturbances.delete(simulation, process, pick(self.policies, which), PROMPTS[0])
        elif simulation.history.latest:
            answered = pick(sorted(simulation.history.latest), who)
            disturbances.spoil(simulation, answered, pick(RUBBISH, which))

    def _process(self, number: int) -> Process:
        return pick(self.simulation.processes, number)

    @invariant()
    def contents_and_lookups_are_as_expected(self) -> None:
        if self.simulation.database.changed:
            database_checks.check_contents(self.simulation)
            database_checks.check_lookups(self.simulation, self.watcher)

    def teardown(self) -> None:
        self.simulation.end()
