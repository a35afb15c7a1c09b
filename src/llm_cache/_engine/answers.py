"""What one cache does, step by step, at a lookup and at the update that follows it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from llm_cache._engine import scope
from llm_cache._engine.memory_tier import MemoryTier
from llm_cache._engine.request import Question
from llm_cache._engine.scope import Seen
from llm_cache._entries import envelope
from llm_cache._entries.keys import random_token
from llm_cache._errors import Uncacheable, UnreadableEntry
from llm_cache._policy.cache_policy import Coalesce
from llm_cache._policy.ttl import TtlBounds
from llm_cache._protocol import lookup, single_flight
from llm_cache._protocol.effects import Operation
from llm_cache._protocol.in_flight import Claim, Flight, Flights, NotShared
from llm_cache._protocol.lookup import Hit, Unseen, Wanted
from llm_cache._protocol.single_flight import Turn, Write
from llm_cache._reasons import Reason
from llm_cache._report import Outcome, Status, Tokens

A = TypeVar("A")
RESERVE = 0.25  # seconds of an invocation that are never spent waiting for the cache


class Kind(Protocol[A]):
    """What the answers of a cache are."""

    @property
    def codec(self) -> str:
        """What names their form in Redis."""

    def serialize(self, answer: Any) -> tuple[str, ...] | None:
        """Return an answer as texts of JSON, or None when it would not come back as it is now."""

    def read(self, entry: envelope.Entry) -> A:
        """Return the answer of an entry; raise ``UnreadableEntry`` if it has none."""

    def unwanted(self, answer: Any) -> Reason | None:
        """Say why an answer may not be kept; None: it may."""

    def tokens(self, answer: A) -> Tokens:
        """Return the tokens that computing it took."""

    def served(self, answer: A, outcome: Outcome) -> A:
        """Return it as a hit is served."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers(Generic[A]):
    """The rules of one cache, whose answers are of a ``kind``.

    ``max_bytes`` is what an answer may take of a request that stores it. ``lease`` is the seconds
    after which a writer that others wait for is given up on. ``finish`` runs a best-effort
    operation, ``aside`` in a thread of its own; ``keep`` repeats one while a flight flies and it
    returns true.
    """

    kind: Kind[A]
    ttl: TtlBounds
    max_bytes: int
    clock: Callable[[], float]
    lease: float
    memory: MemoryTier | None
    finish: Callable[[Operation[None]], None]
    aside: Callable[[Operation[None]], None]
    keep: Callable[[Flight, Callable[[], Operation[bool]]], None]
    flights: Flights = field(default_factory=Flights)

    def lookup(self, asked: Question, *, may_wait: Callable[[], bool]) -> Operation[A | None]:
        """Return the stored answer, or None: the caller then asks the model.

        ``may_wait``: returns whether the lookup may wait for another caller's answer.
        """
        if asked.bypasses:
            return None
        try:
            asked = asked.identified()
            asked = asked.protected()
            found = yield from self._find(asked, may_wait=may_wait)
        except Uncacheable as error:
            asked.report.add(asked.missed(error.reason, str(error)))
            asked.allow_a_model_call(error)
            return None
        except Exception as error:  # noqa: BLE001  a cache failure is never the caller's
            _remember(asked, Seen(Unseen.LOOKUP_FAILED))
            asked.report.add(asked.failed("lookup", error))
            asked.allow_a_model_call("the cache failed")
            return None
        if not isinstance(found, Write):
            return found
        missed = found.missed
        _remember(asked, Seen(missed.epochs, missed.there, found.claim))
        self._tell(asked, found)
        asked.allow_a_model_call(found.missed.why)
        return None

    def update(self, asked: Question, answer: Any) -> Operation[None]:
        """Store what the model said, if the policy and the answer itself allow it."""
        mode, seen = asked.policy.effective_mode, Seen()
        if not mode.stores:
            asked.report.add(asked.skipped(Reason.MODE, mode))
            return
        try:
            asked = asked.identified()
            seen = scope.recall(asked.identity)
            if seen.epochs is not Unseen.LOOKUP_FAILED:
                asked = asked.protected()
            outcome = yield from self._keep(asked, answer, seen)
        except GeneratorExit:  # cancelled; the store may have run, and have released the lease
            self._release(asked, seen.claim)
            raise
        except Uncacheable as error:
            outcome = asked.skipped(error.reason, str(error))
        except Exception as error:  # noqa: BLE001  the answer is paid for: it goes to its caller
            if scope.recall(asked.identity).epochs is Unseen.LOOKUP_FAILED:  # as it failed now
                outcome = asked.skipped(Reason.LOOKUP_FAILED)
            else:
                outcome = asked.failed("update", error)
        asked.report.add(outcome)
        if seen.claim and seen.claim.flight.flying:
            yield from self._disclaim(asked, seen.claim)
        elif outcome.status is Status.ERROR:
            self._release(asked, seen.claim)

    def _find(self, asked: Question, *, may_wait: Callable[[], bool]) -> Operation[A | Write[A]]:
        wanted = Wanted(
            asked.keys,
            asked.hashed,
            asked.policy,
            self.clock,
            self.kind.read,
            self.kind.codec,
            asked.protection,
        )
        if hit := self._in_memory(asked, wanted):
            return self._served(asked, hit, Reason.MEMORY)
        asked_at = self.memory.clock() if self.memory else 0.0
        found = yield from lookup.lookup(wanted)
        if isinstance(found, Hit):
            if self.memory:
                self.memory.put(asked.key, asked.tags, found.text, asked_at=asked_at)
            return self._served(asked, found)
        if asked.policy.effective_coalesce is Coalesce.OFF:
            return Write(found)
        turn = self._turn(asked, may_wait=may_wait())
        taken = yield from single_flight.take_turn(wanted, found, turn)
        if isinstance(taken, Hit):
            return self._served(asked, taken, Reason.COLLAPSED)
        if taken.claim:
            flight = taken.claim.flight
            leave = partial(single_flight.leave, self.flights, flight, asked.keys, asked.hashed)
            asked.within.at_exit.append(partial(leave, self.finish))
            if flight.lease:
                self.keep(flight, partial(single_flight.renew, asked.keys, asked.hashed, flight))
        return taken

    def _in_memory(self, asked: Question, wanted: Wanted[A]) -> Hit[A] | None:
        reads = self.memory and asked.policy.effective_mode.reads
        text = self.memory.get(asked.key, asked.tags) if self.memory and reads else None
        with suppress(UnreadableEntry):
            found = lookup.judge(wanted, (), text) if text else None
            return found if isinstance(found, Hit) else None
        return None

    def _served(self, asked: Question, found: Hit[A], why: Reason | None = None) -> A:
        outcome = self._outcome(asked, Status.HIT, found, why)
        asked.report.add(outcome)
        return self.kind.served(found.answer, outcome)

    def _turn(self, asked: Question, *, may_wait: bool) -> Turn:
        """Bound the wait: by two leases, and by half of what time the invocation has left.

        The second lease is that of who takes over from a writer that died: without it all who
        waited would ask the model at the moment the first one ends. The other half of the time is
        for the model, should the wait have been for nothing. Who computes an answer that others
        wait for does not wait for another's: they might wait for each other.
        """
        remaining = asked.within.remaining
        left = remaining() - RESERVE if remaining else 4 * self.lease
        lease = min(self.lease, max(left, 0.001))
        waits = min(2 * lease, left / 2) if may_wait and not scope.others_wait() else 0.0
        until = time.monotonic() + waits
        mine = scope.claim_on(asked.identity)
        token = random_token()
        return Turn(self.flights, lease, token, lambda: until - time.monotonic(), self.finish, mine)

    def _keep(self, asked: Question, answer: Any, seen: Seen) -> Operation[Outcome]:
        if seen.epochs is Unseen.LOOKUP_FAILED:
            return asked.skipped(Reason.LOOKUP_FAILED)
        storable = self._storable(asked, answer, self.clock())
        if isinstance(storable, Outcome):
            return storable
        ttl, body = storable
        if seen.claim:
            self.flights.land(seen.claim.flight, envelope.HEAD + body)
        try:
            refused = yield from lookup.store(
                asked.keys,
                asked.hashed,
                body=body,
                ttl=self.ttl.kept(ttl, asked.policy.kept_beyond),
                tags=asked.tags,
                epochs=seen.epochs,
                there=seen.there,
                token=random_token(),
                lease=seen.claim.flight.lease if seen.claim else None,
            )
        finally:  # after the command, so that the entry it has replaced does not come back
            if self.memory:
                self.memory.discard(asked.key)
        return asked.skipped(refused) if refused else asked.stored(ttl)

    def _storable(self, asked: Question, answer: Any, now: float) -> tuple[int, str] | Outcome:
        """Return the TTL and the entry's body, or why the answer is not stored."""
        if why := self.kind.unwanted(answer):
            return asked.skipped(why)
        ttl = self.ttl.resolve(asked.policy.ttl, answer, now)
        if ttl is None:
            return asked.skipped(Reason.TTL)
        texts = self.kind.serialize(answer)
        if texts is None:
            return asked.skipped(Reason.NOT_RESTORABLE)
        body = asked.body(envelope.head(now, ttl, self.kind.codec), texts)
        if not envelope.fits(body, self.max_bytes):
            return asked.skipped(Reason.TOO_LARGE)
        return ttl, body

    def _disclaim(self, asked: Question, claim: Claim) -> Operation[None]:
        """Let those who wait go: there will be no answer that they may have."""
        self.flights.land(claim.flight, NotShared.EACH_FOR_ITSELF)
        if lease := claim.flight.lease:
            with suppress(Exception):  # the lease ends by itself
                yield from single_flight.give_back(
                    asked.keys, asked.hashed, lease, each_for_itself=True
                )

    def _release(self, asked: Question, claim: Claim | None) -> None:
        """Release the lease of a store that failed, aside: its caller has waited long enough."""
        if claim and (lease := claim.flight.lease):
            self.flights.land(claim.flight, NotShared.FAILED)
            self.aside(single_flight.give_back(asked.keys, asked.hashed, lease))

    def _tell(self, asked: Question, written: Write[A]) -> None:
        missed = written.missed
        asked.report.add(asked.missed(missed.why, missed.detail))
        if written.failure:
            asked.report.add(asked.failed("lease", written.failure))
        if missed.stale:
            outcome = self._outcome(asked, Status.STALE, missed.stale)
            asked.report.stale_answer = outcome, missed.stale.answer

    def _outcome(
        self, asked: Question, status: Status, found: Hit[A], why: Reason | None = None
    ) -> Outcome:
        return asked.served(status, found, self.kind.tokens(found.answer), why)


def _remember(asked: Question, seen: Seen) -> None:
    """Note what a lookup saw, if an update may follow it."""
    if asked.policy.effective_mode.stores:
        scope.remember(asked.identity, seen)
