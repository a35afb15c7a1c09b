"""An update of one cache: check the answer, store it, and pass it to the waiters."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from llm_cache._engine.answer_kind import AnswerKind
from llm_cache._engine.cache_call import CacheCall
from llm_cache._engine.leadership import Leadership
from llm_cache._engine.lookup_state import LookupState, recall
from llm_cache._engine.tiers import Tiers
from llm_cache._entries import envelope
from llm_cache._entries.keys import random_token
from llm_cache._entries.opening import OPENING
from llm_cache._errors import Uncacheable
from llm_cache._policy.ttl import TtlBounds
from llm_cache._protocol.effects import Operation
from llm_cache._protocol.request import Request
from llm_cache._protocol.store import Unseen
from llm_cache._reasons import Reason

A = TypeVar("A")


class NewEntry(NamedTuple):
    """An entry to be stored: its TTL in whole seconds, and its text after the epochs."""

    ttl: int
    body: str

    def __repr__(self) -> str:
        """Show no part of the answer."""
        return f"NewEntry(ttl={self.ttl})"


@dataclass(eq=False, repr=False, slots=True)
class Writer(Generic[A]):
    """The updates of one cache. ``max_bytes``: the most bytes of an answer in a request."""

    kind: AnswerKind[A]
    tiers: Tiers
    leadership: Leadership
    ttl: TtlBounds
    max_bytes: int

    def update(self, call: CacheCall[A], answer: Any) -> Operation[None]:
        """Store an answer if the policy and the answer itself allow it; raise nothing."""
        mode = call.policy.effective_mode
        if not mode.stores:
            call.skipped(Reason.MODE, mode)
            return
        if (request := _identified(call)) is None:
            return
        state = recall(call.identity)
        if state.epochs is Unseen.LOOKUP_FAILED:
            call.skipped(Reason.LOOKUP_FAILED)
            return
        with state.leader or nullcontext() as leader:
            try:
                yield from self._store(call, request, answer, state)
            except Exception as error:  # noqa: BLE001  the answer is paid for: its caller gets it
                call.failed("update", error)
            if leader and leader.call.pending:
                with suppress(Exception):  # the lease expires by itself
                    yield from self.leadership.decline(call.request or request, leader)

    def _store(
        self, call: CacheCall[A], request: Request[A], answer: Any, state: LookupState
    ) -> Operation[None]:
        request, leader = call.protect(request), state.leader
        entry = self._entry(request, answer)
        if isinstance(entry, Reason):
            call.skipped(entry)
            return
        if leader:
            leader.complete(OPENING + entry.body)
        refused = yield from self.tiers.store(
            request,
            body=entry.body,
            ttl=self.ttl.kept(entry.ttl, request.policy.kept_beyond),
            epochs=state.epochs,
            fingerprint=state.fingerprint,
            token=random_token(),
            lease=leader.call.lease if leader else None,
        )
        if leader:
            leader.take_lease()  # the store has released it
        if refused:
            call.skipped(refused)
        else:
            call.stored(entry.ttl)

    def _entry(self, request: Request[A], answer: Any) -> NewEntry | Reason:
        """Return the entry of an answer, or why it may not be stored."""
        if reason := self.kind.uncacheable_reason(answer):
            return reason
        now = request.clock()
        ttl = self.ttl.resolve(request.policy.ttl, answer, now)
        if ttl is None:
            return Reason.TTL
        texts = self.kind.serialize(answer)
        if texts is None:
            return Reason.NOT_RESTORABLE
        body = request.encode(envelope.metadata(now, ttl, self.kind.name), texts)
        return NewEntry(ttl, body) if envelope.fits(body, self.max_bytes) else Reason.TOO_LARGE


def _identified(call: CacheCall[A]) -> Request[A] | None:
    """Return the request of an update; None, after a report, if it cannot be identified."""
    try:
        return call.identify()
    except Uncacheable as error:
        call.skipped(error.reason, str(error))
    except Exception as error:  # noqa: BLE001  the answer is paid for: its caller gets it
        if recall(call.identity).epochs is Unseen.LOOKUP_FAILED:  # the lookup has reported it
            call.skipped(Reason.LOOKUP_FAILED)
        else:
            call.failed("update", error)
    return None
