"""Which answer a call of the model is about, and what is told of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from llm_cache._engine import scope
from llm_cache._engine.scope import Scope
from llm_cache._entries import envelope
from llm_cache._entries.keys import KEY_VERSION, Keyspace, digest, keyed
from llm_cache._errors import CacheMiss, CircuitOpen, LlmCacheError
from llm_cache._policy.cache_policy import CachePolicy
from llm_cache._policy.modes import Mode
from llm_cache._protocol.lookup import Hit
from llm_cache._reasons import Reason
from llm_cache._report import Outcome, Report, Status, Tokens

if TYPE_CHECKING:
    from llm_cache._entries.protection import Protection

logger = logging.getLogger(__name__)

Asked = Callable[[CachePolicy], tuple[str, ...]]
"""Returns the rules by which a question is told apart under a policy, and the question.

Raises ``Uncacheable`` for one that cannot be told apart.
"""


Protecting = Callable[[], "Protection | None"]
"""Return the protection of the cache, if any; raise ``StoreError`` or ``InvalidSettings``."""


class Question(NamedTuple):
    """One call of a cache: what is asked, within the policy and the report around the call.

    ``identified`` hashes what is asked, then ``protected`` makes its key.
    ``identity`` is what a lookup's memory for its update goes by, in this process alone.
    """

    identity: scope.Lookup
    keys: Keyspace
    asked: Asked
    protecting: Protecting
    within: Scope
    began: float
    hashed: str = ""
    key: str = ""
    protection: Protection | None = None

    def identified(self) -> Question:
        """Return the question with what is asked hashed; raise what ``asked`` does."""
        policy = self.policy
        rules, *parts = self.asked(policy)
        whose = policy.tenant or "", policy.salt or ""
        hashed = digest(f"version {KEY_VERSION}", rules, *whose, *parts)
        keys = self.keys if policy.namespace is None else Keyspace(policy.namespace)
        identity = (self.identity[0], keys.entry(hashed), tuple(sorted(policy.tags or ())))
        return self._replace(identity=identity, keys=keys, hashed=hashed)

    def protected(self) -> Question:
        """Return the question with its key, and its names keyed if there is a protection.

        Raises what ``protecting`` does. Blocks if the secrets are not known.
        """
        protection = self.protecting()
        if protection is None:
            return self._replace(key=self.identity[1])
        keys, hashed = self.keys.under(protection.names), keyed(self.hashed, protection.names)
        return self._replace(
            keys=keys, hashed=hashed, key=keys.entry(hashed), protection=protection
        )

    @property
    def policy(self) -> CachePolicy:
        """The policy around the call."""
        return self.within.policy

    @property
    def bypasses(self) -> bool:
        """Whether the policy wants the cache left alone."""
        return self.policy.effective_mode is Mode.BYPASS

    @property
    def report(self) -> Report:
        """Where what becomes of the call is told."""
        return self.within.report

    @property
    def tags(self) -> tuple[str, ...]:
        """The hashes of the policy's tenant and tags."""
        return self.keys.tags(self.policy.tags, self.policy.tenant)

    def body(self, head: str, answer: Sequence[str]) -> str:
        """Return the text of an entry after its epochs, protected if it is to be."""
        if self.protection:
            return self.protection.body(self.key, head, answer)
        return envelope.body(head, answer, self.hashed)

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
