"""One call of a cache: the request that it makes, and the outcomes that it reports."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from llm_cache._engine.scope import Scope
from llm_cache._entries.keys import KEY_VERSION, Keyspace, digest
from llm_cache._errors import CacheMiss, CircuitOpen, LlmCacheError
from llm_cache._policy.cache_policy import CachePolicy
from llm_cache._policy.modes import Mode
from llm_cache._protocol.lookup import Hit
from llm_cache._protocol.request import Codec, Identity, Request
from llm_cache._reasons import Reason
from llm_cache._report import Outcome, Status, Tokens

if TYPE_CHECKING:
    from llm_cache._entries.protection import Protection

A = TypeVar("A")
logger = logging.getLogger(__name__)

KeyParts: TypeAlias = Callable[[CachePolicy], tuple[str, ...]]
"""Returns the texts that enter the key under a policy; the first names the form of the others.

Raises ``Uncacheable`` if another request may have the same texts.
"""


@dataclass(eq=False, repr=False, slots=True)
class CacheCall(Generic[A]):
    """One lookup or update of a cache, in the scope around it.

    ``request`` is None until ``protect`` has made it. ``protection`` returns the protection of the
    cache's entries, if any; it may raise ``StoreError`` or ``InvalidSettings``. ``identity`` names
    the cache, the entry and its tags within this process. ``began``: by ``time.perf_counter``.
    """

    identity: Identity
    keys: Keyspace
    key_parts: KeyParts
    protection: Callable[[], Protection | None]
    codec: Codec[A]
    clock: Callable[[], float]
    scope: Scope
    began: float
    request: Request[A] | None = None

    def identify(self) -> Request[A]:
        """Return the request with its hash; raise the errors of ``key_parts``."""
        policy = self.policy
        form, *parts = self.key_parts(policy)
        partition = policy.tenant or "", policy.salt or ""
        hashed = digest(f"version {KEY_VERSION}", form, *partition, *parts)
        keys = policy.keyspace(self.keys)
        self.identity = (self.identity[0], keys.entry(hashed), tuple(sorted(policy.tags or ())))
        return Request(self.identity, keys, hashed, policy, self.codec, self.clock)

    def protect(self, request: Request[A]) -> Request[A]:
        """Return the request under the cache's protection; raise the errors of ``protection``."""
        self.request = request.protected(self.protection())
        return self.request

    @property
    def policy(self) -> CachePolicy:
        """The policy around the call."""
        return self.scope.policy

    @property
    def bypasses(self) -> bool:
        """Whether the policy bypasses the cache."""
        return self.policy.effective_mode is Mode.BYPASS

    def allow_model_call(self, reason: object) -> None:
        """Raise ``CacheMiss`` if the policy accepts stored answers only."""
        if self.policy.effective_mode is Mode.ONLY_IF_CACHED:
            raise CacheMiss(f"no acceptable answer is stored: {reason}")

    def served(
        self, status: Status, found: Hit[Any], tokens: Tokens, why: Reason | None = None
    ) -> Outcome:
        """Return the outcome of a lookup that found an answer."""
        return self._outcome(status, why=why, age=found.age, ttl=found.remaining, tokens=tokens)

    def missed(self, why: Reason, detail: str = "") -> None:
        """Report a miss."""
        self._report(Status.MISS, why=why, detail=detail)

    def skipped(self, why: Reason, detail: str = "") -> None:
        """Report an answer that is not stored."""
        self._report(Status.SKIPPED, why=why, detail=detail)

    def stored(self, ttl: int) -> None:
        """Report an answer that is stored for ``ttl`` seconds."""
        self._report(Status.STORED, ttl=ttl)

    def failed(self, operation: str, error: Exception) -> None:
        """Report and log a failure by the error's class and message; never by a value."""
        why, detail = Reason.INTERNAL, type(error).__name__
        if isinstance(error, LlmCacheError):
            why, detail = error.reason, str(error)
        if not isinstance(error, CircuitOpen):  # logged once, when the circuit opens
            logger.warning("cache %s failed: %s: %s", operation, type(error).__name__, detail)
        self._report(Status.ERROR, why=why, detail=detail)

    def _report(self, status: Status, **details: Any) -> None:
        self.scope.report.add(self._outcome(status, **details))

    def _outcome(self, status: Status, **details: Any) -> Outcome:
        seconds = time.perf_counter() - self.began
        key = self.request.key if self.request else ""
        return Outcome(status=status, key=key, seconds=seconds, **details)
