"""Which answer a call of the model is about, and what is told of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from llm_cache import entry, scope
from llm_cache.errors import (
    CacheMiss,
    CircuitOpen,
    LlmCacheError,
    StoreUnavailable,
)
from llm_cache.keys import KEY_VERSION, Keyspace, digest, keyed
from llm_cache.operations import Hit
from llm_cache.policy import CachePolicy, Mode
from llm_cache.reason import Reason
from llm_cache.report import Outcome, Report, Status, Tokens
from llm_cache.scope import Scope
from llm_cache.seal import PendingSeal, Seal
from llm_cache.steps import Operation, unlocked

logger = logging.getLogger(__name__)

Asked = Callable[[CachePolicy], tuple[str, ...]]
"""Returns the rules by which a question is told apart under a policy, and the question.

Raises ``Uncacheable`` for one that cannot be told apart.
"""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, hashed, within the policy and the report around the call.

    ``identity`` is what a lookup's memory for its update goes by, in this process alone. While it
    is ``locked``, for want of the keys of its seal, its own key in Redis is not known; nor is that
    of one that could not be hashed, whose ``fault`` is raised when its key is first needed: by then
    whoever asks is guarded.
    """

    identity: scope.Lookup
    keys: Keyspace
    hashed: str
    within: Scope
    seal: Seal | None = None
    locked: PendingSeal | None = None
    fault: Exception | None = None
    began: float = field(default_factory=time.perf_counter)

    @classmethod
    def of(
        cls,
        cache: int,
        keys: Keyspace,
        seal: Seal | PendingSeal | None,
        asked: Asked,
    ) -> Question:
        """Read what holds around the call. Never raises: what fails is the question's ``fault``."""
        within = scope.current()
        policy = within.policy
        try:
            rules, *parts = asked(policy)
            whose = policy.tenant or "", policy.salt or ""
            hashed = digest(f"version {KEY_VERSION}", rules, *whose, *parts)
            keys = keys if policy.namespace is None else Keyspace(policy.namespace)
            identity = (cache, keys.entry(hashed), tuple(sorted(policy.tags or ())))
            return cls(identity, keys, hashed, within).under(seal)
        except Exception as error:  # noqa: BLE001  a cache failure is never the caller's
            return cls((cache, "", ()), keys, "", within, fault=error)

    def under(self, seal: Seal | PendingSeal | None) -> Question:
        """Return the question with its names keyed, or locked, if there is a seal."""
        if isinstance(seal, PendingSeal):
            known = seal.known()
            return self.under(known) if known else replace(self, locked=seal)
        if seal is None:
            return self
        keys, hashed = self.keys.under(seal.names), keyed(self.hashed, seal.names)
        return replace(self, keys=keys, hashed=hashed, seal=seal, locked=None)

    def unlocked(self) -> Operation[Question]:
        """Return the question with its names known; raise its ``fault``."""
        if self.fault:
            raise self.fault
        return self.under((yield from unlocked(self.locked))) if self.locked else self

    @property
    def policy(self) -> CachePolicy:
        """The policy around the call."""
        return self.within.policy

    @property
    def report(self) -> Report:
        """Where what becomes of the call is told."""
        return self.within.report

    @property
    def key(self) -> str:
        """The key of the answer in Redis; empty while it is not known."""
        return "" if self.locked or self.fault else self.keys.entry(self.hashed)

    @property
    def tags(self) -> tuple[str, ...]:
        """The hashes of the policy's tenant and tags."""
        return self.keys.tags(self.policy.tags, self.policy.tenant)

    def body(self, head: str, answer: Sequence[str]) -> str:
        """Return the text of an entry after its epochs, sealed if it is to be."""
        if self.locked:  # what is to be sealed is never stored in clear
            raise StoreUnavailable("the keys of the seal are not known")
        if self.seal:
            return self.seal.body(self.key, head, answer)
        return entry.body(head, answer, self.hashed)

    def allow_a_model_call(self, why: object) -> None:
        """Raise ``CacheMiss`` where the policy does not want the model asked."""
        if self.policy.effective_mode is Mode.ONLY_IF_CACHED:
            raise CacheMiss(f"no acceptable answer is stored: {why}")

    def served(
        self, status: Status, found: Hit[Any], tokens: Tokens, why: Reason | None = None
    ) -> Outcome:
        """Tell of a stored answer."""
        age, ttl = found.age, found.remaining
        return self._told(status, why=why, age=age, ttl=ttl, tokens=tokens)

    def missed(self, why: Reason, detail: str = "") -> Outcome:
        """Tell of a lookup that found nothing to return."""
        return self._told(Status.MISS, why=why, detail=detail)

    def skipped(self, why: Reason, detail: str = "") -> Outcome:
        """Tell of an answer that is not stored."""
        return self._told(Status.SKIPPED, why=why, detail=detail)

    def stored(self, ttl: int) -> Outcome:
        """Tell of an answer that is stored for ``ttl`` seconds."""
        return self._told(Status.STORED, ttl=ttl)

    def failed(self, doing: str, error: Exception) -> Outcome:
        """Tell of a failure, in the log too: by its kind, never by its values."""
        why, detail = Reason.INTERNAL, type(error).__name__
        if isinstance(error, LlmCacheError):
            why, detail = error.reason, str(error)
        if not isinstance(error, CircuitOpen):  # its opening is logged, once
            logger.warning("cache %s failed: %s: %s", doing, type(error).__name__, detail)
        return self._told(Status.ERROR, why=why, detail=detail)

    def _told(self, status: Status, **details: Any) -> Outcome:
        seconds = time.perf_counter() - self.began
        return Outcome(status=status, key=self.key, seconds=seconds, **details)
