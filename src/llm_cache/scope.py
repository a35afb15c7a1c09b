"""How a policy reaches the cache, and a report comes back: a ContextVar around the model call.

LangChain hands ``lookup`` and ``update`` a prompt and nothing else. A ContextVar set around the
call is seen by ``invoke``, by ``batch`` (whose threads copy the context), by ``ainvoke`` and by
executors.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from llm_cache.breaker import Circuit
from llm_cache.errors import InvalidPolicy
from llm_cache.flights import Claim
from llm_cache.operations import Epochs, Unseen
from llm_cache.policy import CachePolicy, Mode
from llm_cache.report import Report


class LambdaContext(Protocol):
    """What is read of Lambda's context object."""

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds the invocation has left."""


_NOTHING_ASKED = CachePolicy()


@dataclass(frozen=True, slots=True)
class Scope:
    """What holds around one model call."""

    policy: CachePolicy = _NOTHING_ASKED
    report: Report = field(default_factory=Report)
    remaining: Callable[[], float] | None = None
    """Seconds the invocation has left; None outside one."""
    at_exit: list[Callable[[], None]] = field(default_factory=list)
    """What is still to be done when the block ends; none of it raises."""


_scope: ContextVar[Scope | None] = ContextVar("llm_cache_scope", default=None)


def current() -> Scope:
    """Return the innermost scope; outside of any, an empty one whose report nobody reads."""
    return _scope.get() or Scope()


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
    scope = Scope(policy.within(outer.policy), Report(breaker=breaker), remaining)
    token = _scope.set(scope)
    try:
        yield scope.report
    finally:
        for left_to_do in scope.at_exit:
            left_to_do()
        _scope.reset(token)
        outer.report.outcomes.extend(scope.report.outcomes)
    if not scope.report.outcomes and scope.policy.effective_mode is not Mode.BYPASS:
        unused()


def _seconds_of(milliseconds: Callable[[], int]) -> float:
    return milliseconds() / 1000


Lookup: TypeAlias = tuple[int, str, tuple[str, ...]]
"""Which cache looked up which key under which tags: to another, what it saw is nothing."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a lookup that missed leaves to its update.

    The epochs it saw, or why they are not known; and, if others wait for the answer, the claim.
    """

    epochs: Epochs | Unseen = Unseen.NOT_LOOKED_UP
    claim: Claim | None = None


# Copied on every change, so that the threads of a batch, each in a copy of the context, never see
# one another's.
_seen: ContextVar[Mapping[Lookup, Seen]] = ContextVar("llm_cache_seen", default={})  # noqa: B039
_MOST_SEEN = 4096  # a lookup whose model call failed leaves its own behind


def remember(lookup: Lookup, seen: Seen) -> None:
    """Note what a lookup saw, for the update that follows it in this context."""
    kept = {**_seen.get(), lookup: seen}
    if len(kept) > _MOST_SEEN:
        del kept[next(iter(kept))]
    _seen.set(kept)


def recall(lookup: Lookup) -> Seen:
    """Return what the last such lookup in this context saw, and forget it."""
    kept = dict(_seen.get())
    seen = kept.pop(lookup, Seen())
    _seen.set(kept)
    return seen


def claim_on(lookup: Lookup) -> Claim | None:
    """Return the claim that an earlier try of this lookup in this context has left, if any."""
    return _seen.get().get(lookup, Seen()).claim


def others_wait() -> bool:
    """Whether somebody may be waiting for what this context computes."""
    return any(seen.claim and seen.claim.flight.flying for seen in _seen.get().values())
