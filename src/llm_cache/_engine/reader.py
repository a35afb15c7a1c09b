"""A lookup of one cache: memory, then Redis, then the answer of another caller in flight."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from llm_cache._engine.answer_kind import AnswerKind
from llm_cache._engine.cache_call import CacheCall
from llm_cache._engine.leadership import Leadership
from llm_cache._engine.lookup_state import LookupState, remember
from llm_cache._engine.tiers import Tiers
from llm_cache._errors import Uncacheable
from llm_cache._protocol.effects import Operation
from llm_cache._protocol.lookup import Hit
from llm_cache._protocol.request import Request
from llm_cache._protocol.single_flight import Compute
from llm_cache._protocol.store import Unseen
from llm_cache._reasons import Reason
from llm_cache._report import Outcome, Status

A = TypeVar("A")


@dataclass(eq=False, repr=False, slots=True)
class Reader(Generic[A]):
    """The lookups of one cache."""

    kind: AnswerKind[A]
    tiers: Tiers
    leadership: Leadership

    def lookup(self, call: CacheCall[A], *, may_wait: Callable[[], bool]) -> Operation[A | None]:
        """Return the stored answer; None: the caller calls the model.

        ``may_wait`` returns whether the lookup may wait for another caller.
        """
        if call.bypasses:
            return None
        try:
            request = call.protect(call.identify())
            found = yield from self._find(call, request, may_wait)
        except Uncacheable as error:
            call.missed(error.reason, str(error))
            call.allow_model_call(error)
            return None
        except Exception as error:  # noqa: BLE001  a cache failure never reaches the caller
            _remember(call, LookupState(Unseen.LOOKUP_FAILED))
            call.failed("lookup", error)
            call.allow_model_call("the cache failed")
            return None
        if isinstance(found, Compute):
            self._report_miss(call, found)
            return None
        return found

    def _find(
        self, call: CacheCall[A], request: Request[A], may_wait: Callable[[], bool]
    ) -> Operation[A | Compute[A]]:
        if hit := self.tiers.remembered(request):
            return self._serve(call, hit, Reason.MEMORY)
        found = yield from self.tiers.lookup(request)
        if isinstance(found, Hit):
            return self._serve(call, found)
        shared = yield from self.leadership.lead_or_wait(
            request, found, call.scope, may_wait=may_wait
        )
        return self._serve(call, shared, Reason.COLLAPSED) if isinstance(shared, Hit) else shared

    def _serve(self, call: CacheCall[A], found: Hit[A], why: Reason | None = None) -> A:
        outcome = self._outcome(call, Status.HIT, found, why)
        call.scope.report.add(outcome)
        return self.kind.served(found.answer, outcome)

    def _report_miss(self, call: CacheCall[A], computed: Compute[A]) -> None:
        miss = computed.miss
        _remember(call, LookupState(miss.epochs, miss.fingerprint, computed.leader))
        call.missed(miss.reason, miss.detail)
        if computed.failure:
            call.failed("lease", computed.failure)
        if miss.stale:
            outcome = self._outcome(call, Status.STALE, miss.stale)
            call.scope.report.stale_answer = outcome, miss.stale.answer
        call.allow_model_call(miss.reason)

    def _outcome(
        self, call: CacheCall[A], status: Status, found: Hit[A], why: Reason | None = None
    ) -> Outcome:
        return call.served(status, found, self.kind.tokens(found.answer), why)


def _remember(call: CacheCall[A], state: LookupState) -> None:
    """Keep what the lookup saw, if an update may follow."""
    if call.policy.effective_mode.stores:
        remember(call.identity, state)
