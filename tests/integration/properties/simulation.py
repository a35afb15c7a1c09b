"""Several processes over one database; each step is checked against the history."""

from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.outputs import Generation
from tests.integration.properties import answer_checks
from tests.integration.properties.answer_checks import tags_of
from tests.integration.properties.caller import Caller
from tests.integration.properties.database import DRIFT, Database, FaultyStore
from tests.integration.properties.history import (
    Answer,
    History,
    Identity,
    coalesces,
    lifetime_of,
    mode,
    reads,
    stores,
    ttl_of,
)
from tests.integration.properties.process import Block, Process
from tests.integration.properties.single_flight_checks import SingleFlightChecks
from tests.integration.properties.strategies import STORABLE, UNCACHEABLE, Setup, failing_ttl

from llm_cache import CachePolicy
from llm_cache._policy.modes import Mode
from llm_cache._protocol.leases import HELD, RELEASE, TAKE, TAKEN
from llm_cache._protocol.store import STORE

MakeAnswer = Callable[[str], Sequence[Generation]]
Executed = list[tuple[Any, Any, bool]]


class Simulation:
    """The processes, their blocks and callers, and the history of one run."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.time = database.time
        self.time.now = 1000.0
        database.call("FLUSHDB")
        self.store = FaultyStore(database)
        self.history = History()
        self.flights = SingleFlightChecks(self.time)
        self.processes: list[Process] = []
        self.blocks: list[Block] = []
        self.callers: list[Caller] = []
        self.dead: list[Block | Caller] = []
        self.keys: dict[Identity, str] = {}
        self.rubbish: set[str] = set()
        self.before: str | None = None  # the entry before a step

    def start(self, setup: Setup) -> Process:
        process = Process(setup, self.store, self.time)
        self.processes.append(process)
        return process

    def kill(self, process: Process) -> None:
        """End a process at once, and start another of the same setup."""
        self.processes.remove(process)
        for block in [one for one in self.blocks if one.process is process]:
            self.blocks.remove(block)
            self.dead.append(block)
        for caller in [one for one in self.callers if one.process is process]:
            self.callers.remove(caller)
            self.dead.append(caller)
        self.start(process.setup)

    def open(
        self,
        process: Process,
        policy: CachePolicy,
        outer: CachePolicy | None = None,
        seconds: float | None = None,
    ) -> Block:
        block = Block(process, policy, outer or CachePolicy(), seconds)
        self.blocks.append(block)
        return block

    def close(self, block: Block) -> None:
        """End a block; the model calls in it fail."""
        failures = self.store.failures
        for caller in [one for one in self.callers if one.block is block]:
            self.fail(caller)
        self.blocks.remove(block)
        block.close()
        self.take_executed()
        self._record_faults(block.process, failures)
        self.flights.closed(block)
        block.check_report()

    def end(self) -> None:
        """Close every block, so that the next run starts without them."""
        self.store.down = True
        for block in [*self.blocks, *(one for one in self.dead if isinstance(one, Block))]:
            block.close()

    def lookup(self, block: Block, prompt: str, *, may_wait: bool = True) -> Caller:
        caller = self._caller(block, prompt, may_wait)
        caller.lookup(self.history.next())
        self._after(caller)
        return caller

    def retry(self, caller: Caller) -> None:
        """Look up again in the same context."""
        caller.retries = True
        self.flights.retried(caller)
        caller.lookup(self.history.next())
        self._after(caller)

    def update(self, block: Block, prompt: str, make: MakeAnswer) -> Caller:
        """Begin to store an answer without a lookup."""
        caller = self._caller(block, prompt)
        self.answer(caller, make, without_lookup=True)
        return caller

    def _caller(self, block: Block, prompt: str, may_wait: bool = True) -> Caller:
        caller = Caller(block, prompt, may_wait)
        self.keys[caller.which] = caller.key
        self.callers.append(caller)
        return caller

    def answer(self, caller: Caller, make: MakeAnswer, *, without_lookup: bool = False) -> None:
        """End the model call with an answer, and begin the update."""
        setup, policy, now = caller.process.setup, caller.policy, caller.process.clock()
        number = next(self.history.numbers)
        storable = make in STORABLE and stores(policy)
        ttl = ttl_of(setup, policy, now) if storable else None
        self.history.answers[number] = answer = Answer(
            number=number,
            identity=caller.which,
            tags=tags_of(caller),
            generations=make(f"answer {number}"),
            created=now,
            ttl=ttl,
            lifetime=0 if ttl is None else lifetime_of(setup, policy, ttl),
            began=caller.observed.at,
            unseen=caller.observed.unseen,
            without_lookup=without_lookup,
            must_be_stored=ttl is not None and (without_lookup or not caller.faulted),
        )
        # After a failed lookup the TTL is not computed.
        computes_ttl = without_lookup or caller.observed.at is not None
        tried = stores(policy) and make not in UNCACHEABLE and computes_ttl
        caller.block.counts.errors += tried and policy.ttl is failing_ttl
        self.flights.answered(caller, stored=ttl is not None)
        caller.update(answer)
        self._after(caller)

    def fail(self, caller: Caller) -> None:
        """End the model call with an error, and the context of the call with it."""
        waiters = [one for one in self.callers if caller.is_waited_for_by(one)]
        self.flights.failed_model_call(caller)
        self._leave(caller)
        assert all(one.ready for one in waiters), "a wait for a failed model call"

    def _leave(self, caller: Caller) -> None:
        self.callers.remove(caller)
        caller.drop_context()

    def run_step(self, caller: Caller, *, slow: bool = False) -> None:
        failures = self.store.failures
        self.before = self._entry(caller)
        caller.run_step(slow=slow)
        self._record_faults(caller.process, failures)
        self._after(caller)

    def finish(self, caller: Caller) -> Caller:
        """Run a caller to its end; time passes while it waits."""
        while caller.running:
            if not caller.ready:
                self.database.advance(caller.resumes_at - self.time.now)
            self.run_step(caller)
        return caller

    def removed(self, which: Identity, process: Process | None) -> None:
        self.history.removed(which, self.time.now, process)
        self.rubbish.discard(self.keys[which])

    def take_executed(self) -> Executed:
        executed, self.store.executed = self.store.executed, []
        return executed

    def _entry(self, caller: Caller) -> str | None:
        text: str | None = self.database.call("MGET", self.keys[caller.which])[0]
        return text

    def _record_faults(self, process: Process, failures: int) -> None:
        if self.store.failures > failures or not process.sends_commands:
            self.flights.failed_command(process)

    # --- checks after each step -------------------------------------------------------------------

    def _after(self, caller: Caller) -> None:
        for command, reply, delivered in self.take_executed():
            if RELEASE in command:
                self.flights.released(command)
            if not stores(caller.policy):
                assert command[0] == "MGET", "a write in a mode that does not store"
            assert mode(caller.policy) is not Mode.BYPASS
            if caller.answer is None:
                self._check_read(caller, command, reply, delivered=delivered)
            elif command[1] == STORE:
                self._check_store(caller, caller.answer, reply)
        if caller.updated:
            self._check_update(caller)
        elif not caller.running:
            self._check_lookup(caller)

    def _check_store(self, caller: Caller, answer: Answer, reply: Any) -> None:
        any_entry = answer.without_lookup or not reads(caller.policy)
        answer.dropped = reply != 1
        if reply == 0:  # checked now: the epoch of the clear may be lost before the reply arrives
            assert answer.unseen, "refused though its lookup saw every epoch"
            assert any(self.history.clears(answer)), "refused without a clear"
        else:
            replaceable = any_entry or self.before in {None, caller.observed.text}
            assert replaceable is not answer.dropped, "replaced an entry its lookup did not see"
        if reply == 1:
            assert answer.ttl is not None, "stored an uncacheable answer"
            answer.began = self.history.next() if answer.without_lookup else answer.began
            answer.kept_until = self.time.now + answer.lifetime
            caller.replaced = self.history.stored(answer, self.time.now, caller.process)
            caller.replaced.returned = not caller.running
            self.rubbish.discard(self.keys[caller.which])

    def _check_read(self, caller: Caller, command: Any, reply: Any, *, delivered: bool) -> None:
        key, seen, taking = self.keys[caller.which], caller.observed, command[1] == TAKE
        if command[0] == "UNLINK":
            assert command[1:] == (key,)
            assert seen.rubbish or caller.block.garbled, "deleted a readable entry"
            self.removed(caller.which, caller.process)
        if not taking and command[:2] != ("MGET", f"{caller.which[0]}:epoch"):
            return
        seen.text = self._entry(caller)
        if reads(caller.policy):
            seen.latest = self.history.latest.get(caller.which)
            seen.expected = self.history.undisturbed(caller.which, self.time.now + DRIFT)
            seen.rubbish = key in self.rubbish
        if taking and reply[0] == HELD:
            self.flights.held(command, reply)
        if taking and reply[0] == TAKEN:
            self.flights.taken(caller, command, reply, delivered=delivered)
        if delivered:
            count = 1 + bool(caller.policy.tenant) + len(tags_of(caller))
            names = command[4:-4] if taking else command[1 : 1 + count]
            epochs = tuple(reply[1:] if taking else reply)[: len(names)]
            seen.at, seen.clock = self.history.next(), caller.process.clock()
            seen.unseen = frozenset(n for n, one in zip(names, epochs, strict=True) if not one)
            seen.epochs = seen.epochs if taking else epochs

    def _check_lookup(self, caller: Caller) -> None:
        assert caller.result
        counts, report = caller.block.counts, caller.block.report
        counts.errors += caller.failed
        if caller.result.found is not None:
            assert report.last
            answer = answer_checks.check_hit(self.history, caller, report.last)
            counts.tokens_saved += answer.tokens
            counts.hits += 1
            self.flights.served(caller)
            self._leave(caller)
        else:
            # A lookup that failed after its miss reports both.
            missed = not caller.failed or caller.flight is not None
            counts.misses += mode(caller.policy) is not Mode.BYPASS and missed
            assert caller.result.cache_miss == (mode(caller.policy) is Mode.ONLY_IF_CACHED)
            answer_checks.check_miss(self.history, caller)
            if report.stale_answer:
                text = report.stale_answer[1][0].text
                answer_checks.check_stale_answer(self.history, caller, text)
            if coalesces(caller.policy) != "off":
                self.flights.computes(caller, self.history)
        report.stale_answer = None
        caller.block.check_report()

    def _check_update(self, caller: Caller) -> None:
        assert caller.answer
        answer, counts = caller.answer, caller.block.counts
        if caller.replaced:
            caller.replaced.returned = True
        self._leave(caller)
        counts.stored += answer.stored is not None and not caller.faulted
        counts.errors += caller.failed
        if answer.must_be_stored and not caller.faulted:
            assert answer.stored or answer.dropped, "an answer was not stored"
        assert caller.commands <= 1, "a store is one command"
        caller.block.check_report()
