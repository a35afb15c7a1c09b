"""How a policy reaches the cache, and a report comes back: a ContextVar around the model call.

LangChain hands ``lookup`` and ``update`` a prompt and nothing else. A ContextVar set around the
call is seen by ``invoke``, by ``batch`` (whose threads copy the context), by ``ainvoke`` and by
executors.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import NamedTuple, Protocol, TypeAlias

from llm_cache._errors import InvalidPolicy
from llm_cache._policy.cache_policy import DEFAULT_POLICY, CachePolicy
from llm_cache._policy.modes import Mode
from llm_cache._protocol.in_flight import Claim
from llm_cache._protocol.lookup import ANYTHING, Epochs, Unseen
from llm_cache._report import Circuit, Report


class LambdaContext(Protocol):
    """What is read of Lambda's context object."""

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds the invocation has left."""


class Scope(NamedTuple):
    """What holds around one model call."""

    policy: CachePolicy
    report: Report
    remaining: Callable[[], float] | None
    """Seconds the invocation has left; None outside one."""
    at_exit: list[Callable[[], None]]
    """What is still to be done when the block ends; none of it raises."""


_scope: ContextVar[Scope | None] = ContextVar("llm_cache_scope", default=None)


def current() -> Scope:
    """Return the innermost scope; outside of any, an empty one whose report nobody reads."""
    return _scope.get() or Scope(DEFAULT_POLICY, Report(), None, [])


def time_left() -> float | None:
    """Return the seconds the invocation has left; None outside one."""
    within = _scope.get()
    return within.remaining() if within and within.remaining else None


@contextmanager
def entered(
    policy: CachePolicy,
    context: LambdaContext | None,
    breaker: Callable[[], Circuit] = lambda: Circuit.CLOSED,
    unused: Callable[[], None] = lambda: None,
) -> Iterator[Report]:
    """Lay ``policy`` over the scope around it for as long as the block runs.

    ``unused`` is called after a block that ended without an error, did not bypass the cache and has
    nothing to report.
    """
    outer = current()
    remaining = outer.remaining
    if context is not None:
        milliseconds = getattr(context, "get_remaining_time_in_millis", None)
        if not callable(milliseconds):
            accepted = "the context that Lambda gives the handler"
            raise InvalidPolicy("context", context, accepted, withheld=True)
        remaining = functools.partial(_seconds_of, milliseconds)
    scope = Scope(policy.within(outer.policy), Report(breaker=breaker), remaining, [])
    token = _scope.set(scope)
    try:
        yield scope.report
    finally:
        outer.report.outcomes.extend(scope.report.outcomes)
        try:
            _leave(scope.at_exit)
        finally:  # after it, since what is left to do is bounded by the invocation's time
            _scope.reset(token)
    if not scope.report.outcomes and scope.policy.effective_mode is not Mode.BYPASS:
        unused()


def _leave(left_to_do: list[Callable[[], None]]) -> None:
    """Do all of it, whatever one of them raises."""
    while left_to_do:
        with suppress(Exception):  # a lease that is not released expires
            left_to_do.pop()()


def _seconds_of(milliseconds: Callable[[], int]) -> float:
    return milliseconds() / 1000


Lookup: TypeAlias = tuple[int, str, tuple[str, ...]]
"""Which cache looked up which key under which tags: to another, what it saw is nothing."""


class Seen(NamedTuple):
    """What a lookup that missed leaves to its update.

    The epochs it saw, or why they are not known; the fingerprint of the entry it found, or
    ``ANYTHING``; and, if others may wait for the answer, the claim.
    """

    epochs: Epochs | Unseen = Unseen.NOT_LOOKED_UP
    there: str = ANYTHING
    claim: Claim | None = None


Shard: TypeAlias = Mapping[Lookup, Seen]

# Never changed in place, so that the threads of a batch, each in a copy of the context, do not see
# one another's. In shards, since each change copies one; a model call that fails leaves its own.
_SHARDS, _MOST_OF_SHARD = 64, 64
_seen: ContextVar[tuple[Shard, ...]] = ContextVar("llm_cache_seen", default=({},) * _SHARDS)
_claims: ContextVar[tuple[Claim, ...]] = ContextVar("llm_cache_claims", default=())


def remember(lookup: Lookup, seen: Seen) -> None:
    """Note what a lookup saw, for the update that follows it in this context."""
    kept = {**_shard(lookup), lookup: seen}
    if len(kept) > _MOST_OF_SHARD:
        del kept[next(iter(kept))]
    _replace(lookup, kept)
    if seen.claim:
        _claims.set((*(claim for claim in _claims.get() if claim.flight.awaited), seen.claim))


def recall(lookup: Lookup) -> Seen:
    """Return what the last such lookup in this context saw, and forget it."""
    kept = dict(_shard(lookup))
    seen = kept.pop(lookup, Seen())
    _replace(lookup, kept)
    return seen


def claim_on(lookup: Lookup) -> Claim | None:
    """Return the claim that an earlier try of this lookup in this context has left, if any."""
    return _shard(lookup).get(lookup, Seen()).claim


def others_wait() -> bool:
    """Whether other callers may be waiting for what this context computes."""
    return any(claim.flight.awaited for claim in _claims.get())


def _shard(lookup: Lookup) -> Shard:
    return _seen.get()[hash(lookup) % _SHARDS]


def _replace(lookup: Lookup, kept: Shard) -> None:
    at, shards = hash(lookup) % _SHARDS, _seen.get()
    _seen.set((*shards[:at], kept, *shards[at + 1 :]))
