"""All processes over one database; whatever happens is checked as it happens."""

from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.outputs import Generation
from tests.integration.properties import promises
from tests.integration.properties.callers import Caller
from tests.integration.properties.model import (
    Answer,
    History,
    Identity,
    coalesces,
    kept_of,
    mode,
    reads,
    stores,
    ttl_of,
)
from tests.integration.properties.policies import JUNK, STORABLE, Setup, broken
from tests.integration.properties.processes import Block, Process
from tests.integration.properties.turns import Turns
from tests.integration.properties.wire import DRIFT, Database, Wire

from llm_cache import CachePolicy
from llm_cache._policy.cache_policy import Mode
from llm_cache._protocol.lookup import STORE
from llm_cache._protocol.single_flight import GIVE_BACK, HELD, TAKE, TAKEN

Kind = Callable[[str], Sequence[Generation]]


class World:
    """Processes, what they do, and what has happened."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.time = database.time
        self.time.now = 1000.0
        database.call("FLUSHDB")
        self.wire = Wire(database)
        self.history = History()
        self.turns = Turns(self.time)
        self.processes: list[Process] = []
        self.blocks: list[Block] = []
        self.callers: list[Caller] = []
        self.dead: list[Block | Caller] = []
        self.keys: dict[Identity, str] = {}
        self.rubbish: set[str] = set()
        self.before: str | None = None  # what stood there before a step

    def start(self, setup: Setup) -> Process:
        process = Process(setup, self.wire, self.time)
        self.processes.append(process)
        return process

    def open(
        self, process: Process, policy: CachePolicy, outer: CachePolicy, seconds: float | None
    ) -> Block:
        block = Block(process, policy, outer, seconds)
        self.blocks.append(block)
        return block

    def close(self, block: Block) -> None:
        """End a block; what of it has not been answered, has failed."""
        failures = self.wire.failures
        for caller in [one for one in self.callers if one.block is block]:
            self.fail(caller)
        self.blocks.remove(block)
        block.close()
        self.wire.executed.clear()
        self._note_faults(block.process, failures)
        self.turns.closed(block)
        block.check_report()

    def ask(self, block: Block, prompt: str, *, may_wait: bool = True) -> Caller:
        caller = Caller(block, prompt, may_wait)
        self.keys[caller.which] = caller.key
        self.callers.append(caller)
        caller.look(self.history.next())
        self._after(caller)
        return caller

    def ask_again(self, caller: Caller) -> None:
        """Look up once more in the same context, as a retry does."""
        caller.again = True
        self.turns.asks_again(caller)
        caller.look(self.history.next())
        self._after(caller)

    def tell(self, block: Block, prompt: str, kind: Kind) -> Caller:
        """Store an answer that was not looked up."""
        caller = Caller(block, prompt)
        self.keys[caller.which] = caller.key
        self.callers.append(caller)
        self.answer(caller, kind, unasked=True)
        return caller

    def answer(self, caller: Caller, kind: Kind, *, unasked: bool = False) -> None:
        """Let the model answer, and the update begin."""
        setup, policy, now = caller.process.setup, caller.policy, caller.process.clock()
        number = next(self.history.numbers)
        storable = kind in STORABLE and stores(policy)
        ttl = ttl_of(setup, policy, now) if storable else None
        known = not unasked and not caller.faulted
        self.history.answers[number] = answer = Answer(
            number=number,
            identity=caller.which,
            tags=promises.tags_of(caller),
            generations=kind(f"answer {number}"),
            created=now,
            ttl=ttl,
            kept_for=0 if ttl is None else kept_of(setup, policy, ttl),
            began=caller.sight.at,
            unseen=caller.sight.unseen,
            unasked=unasked,
            must_be_stored=ttl is not None and (known or unasked),
        )
        # after a lookup that failed, the update comes to no TTL
        tried = stores(policy) and kind not in JUNK and (unasked or caller.sight.at is not None)
        caller.block.counts.errors += tried and policy.ttl is broken
        self.turns.ended(caller, stored=ttl is not None)
        caller.store(answer)
        self._after(caller)

    def fail(self, caller: Caller) -> None:
        """Let the model fail, and the context of the call be gone."""
        waiting = [one for one in self.callers if caller.is_waited_for_by(one)]
        self.turns.abandoned(caller)
        self._left(caller)
        assert all(one.ready for one in waiting), "waits for who has failed"

    def _left(self, caller: Caller) -> None:
        self.callers.remove(caller)
        caller.forget()

    def there(self, caller: Caller) -> str | None:
        """Return the text that stands in the place of a caller's answer."""
        text: str | None = self.database.call("MGET", self.keys[caller.which])[0]
        return text

    def step(self, caller: Caller, *, slow: bool = False) -> None:
        failures = self.wire.failures
        self.before = self.there(caller)
        caller.step(slow=slow)
        self._note_faults(caller.process, failures)
        self._after(caller)

    def run(self, caller: Caller) -> Caller:
        """Run to the end, waiting as long as it takes."""
        while caller.running:
            if not caller.ready:
                self.database.advance(caller.resumes_at - self.time.now)
            self.step(caller)
        return caller

    def _note_faults(self, process: Process, failures: int) -> None:
        if self.wire.failures > failures or not process.asks:
            self.turns.failed(process)

    # --- what has happened ------------------------------------------------------------------------

    def _after(self, caller: Caller) -> None:
        executed, self.wire.executed = self.wire.executed, []
        for command, reply, delivered in executed:
            if GIVE_BACK in command:
                self.turns.given_back(command)
            if not stores(caller.policy):
                assert command[0] == "MGET", "the policy asked to leave nothing behind"
            assert mode(caller.policy) is not Mode.BYPASS
            if caller.answer:
                self._note_a_store(caller, caller.answer, command, reply)
            else:
                self._note_a_read(caller, command, reply, delivered=delivered)
        if caller.updated:
            self._updated(caller)
        elif not caller.running:
            self._looked(caller)

    def _note_a_store(self, caller: Caller, answer: Answer, command: Any, reply: Any) -> None:
        if command[1] != STORE:
            return
        there = caller.sight.there
        replaces = answer.unasked or not reads(caller.policy) or self.before in {None, there}
        answer.dropped = reply != 1
        if reply == 0:  # judged now: the epoch of the clear may be lost before the reply comes
            assert answer.unseen, "refused though its lookup saw every epoch"
            assert any(self.history.clears(answer)), "refused without a clear"
        else:
            assert replaces is not answer.dropped, "replaced what its lookup had not seen"
        if reply == 1:
            assert answer.ttl is not None, "not an answer to store"
            answer.began = self.history.next() if answer.unasked else answer.began
            answer.kept_until = self.time.now + answer.kept_for
            caller.replaced = self.history.stored(answer, self.time.now, caller.process)
            caller.replaced.returned = not caller.running
            self.rubbish.discard(self.keys[caller.which])

    def _note_a_read(self, caller: Caller, command: Any, reply: Any, *, delivered: bool) -> None:
        key, sight, taking = self.keys[caller.which], caller.sight, command[1] == TAKE
        if command[0] == "UNLINK":
            assert command[1:] == (key,)
            assert sight.rubbish or caller.block.garbled, "deleted what could be read"
            self.ended(caller.which, caller.process)
        prefix = caller.which[0]
        if not taking and command[:2] != ("MGET", f"{prefix}:epoch"):
            return
        sight.there = self.there(caller)
        if reads(caller.policy):
            now = self.time.now + DRIFT
            sight.latest = self.history.latest.get(caller.which)
            sight.expected = self.history.undisturbed(caller.which, now)
            sight.rubbish = key in self.rubbish
        if taking and reply[0] == HELD:
            self.turns.held(command, reply)
        if taking and reply[0] == TAKEN:
            self.turns.taken(caller, command, reply, delivered=delivered)
        if delivered:
            epochs = 1 + bool(caller.policy.tenant) + len(promises.tags_of(caller))
            names = command[4:-4] if taking else command[1 : 1 + epochs]
            seen = tuple(reply[1:] if taking else reply)[: len(names)]
            sight.at, sight.clock = self.history.next(), caller.process.clock()
            sight.unseen = frozenset(n for n, epoch in zip(names, seen, strict=True) if not epoch)
            sight.epochs = sight.epochs if taking else seen

    def ended(self, which: Identity, process: Process | None) -> None:
        self.history.end(which, self.time.now, process)
        self.rubbish.discard(self.keys[which])

    def _looked(self, caller: Caller) -> None:
        """Check what a lookup has come to."""
        assert caller.result
        counts, report = caller.block.counts, caller.block.report
        counts.errors += caller.failed
        if caller.result.found is not None:
            assert report.last
            counts.tokens += promises.check_served(self.history, caller, report.last).tokens
            counts.hits += 1
            self.turns.served(caller)
            self._left(caller)
        else:
            counts.misses += mode(caller.policy) is not Mode.BYPASS and self._knows(caller)
            assert caller.result.refused == (mode(caller.policy) is Mode.ONLY_IF_CACHED)
            promises.check_not_served(self.history, caller)
            if report.stale_answer:
                promises.check_spare(self.history, caller, report.stale_answer[1][0].text)
            if coalesces(caller.policy) != "off":
                self.turns.told(caller, self.history)
        report.stale_answer = None
        caller.block.check_report()

    def _knows(self, caller: Caller) -> bool:
        """Whether it has seen that there is no answer, whatever failed later."""
        return not caller.failed or caller.turn is not None

    def _updated(self, caller: Caller) -> None:
        """Check what an update has come to."""
        assert caller.answer
        answer, counts = caller.answer, caller.block.counts
        if caller.replaced:
            caller.replaced.returned = True
        self._left(caller)
        counts.stored += answer.stored is not None and not caller.faulted
        counts.errors += caller.failed
        if answer.must_be_stored and not caller.faulted:
            assert answer.stored or answer.dropped, "an answer was not stored"
        assert caller.commands <= 1, "a store is one command"
        caller.block.check_report()

    def die(self, process: Process) -> Process:
        """End a process at once, and start another like it."""
        self.processes.remove(process)
        for block in [one for one in self.blocks if one.process is process]:
            self.blocks.remove(block)
            self.dead.append(block)
        for caller in [one for one in self.callers if one.process is process]:
            self.callers.remove(caller)
            self.dead.append(caller)
        return self.start(process.setup)

    def end(self) -> None:
        """Leave every block, so that nothing of this run is left to the next."""
        self.wire.down = True
        for block in [*self.blocks, *(one for one in self.dead if isinstance(one, Block))]:
            block.close()
