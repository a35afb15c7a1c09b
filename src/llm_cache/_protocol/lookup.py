"""A lookup: one command reads the entry and the epochs that it must have been stored under."""

from __future__ import annotations

from contextlib import suppress
from typing import Generic, NamedTuple, TypeAlias, TypeVar

from llm_cache._entries.envelope import Entry, fingerprint
from llm_cache._entries.keys import cleared_at
from llm_cache._errors import StoreError, UnreadableEntry
from llm_cache._protocol.effects import Operation
from llm_cache._protocol.redis_commands import mget, unlink
from llm_cache._protocol.request import Request
from llm_cache._reasons import Reason

T = TypeVar("T")

Epochs: TypeAlias = tuple[str | None, ...]
"""The epochs of a namespace, a tenant and tags, in the order of their keys; None: not set yet."""
ANY_ENTRY = "*"
"""Instead of a fingerprint: the store replaces any entry."""


class Hit(NamedTuple, Generic[T]):
    """A stored answer; ``age`` and ``remaining`` are seconds, ``text`` is the entry."""

    answer: T
    age: float
    remaining: float
    text: str = ""

    def __repr__(self) -> str:
        """Show neither the answer nor the entry."""
        return f"Hit(age={self.age}, remaining={self.remaining})"


class Miss(NamedTuple, Generic[T]):
    """No answer. ``epochs`` are those at the time of the lookup.

    ``fingerprint`` identifies the entry that was found (``""``: none); the store that follows may
    replace that entry alone. ``stale`` is an expired answer to serve if the model fails.
    """

    reason: Reason
    epochs: Epochs
    stale: Hit[T] | None = None
    fingerprint: str = ""
    detail: str = ""

    def __repr__(self) -> str:
        """Show no part of an entry."""
        return f"Miss(reason={self.reason}, stale={self.stale}, detail={self.detail!r})"


def lookup(request: Request[T]) -> Operation[Hit[T] | Miss[T]]:
    """Find the answer that the policy accepts.

    One command; one more if the entry has tags that the policy does not name, and one more to
    delete an unreadable entry.
    """
    epochs = request.keys.epochs(request.tags)
    if not request.policy.effective_mode.reads:
        return Miss(Reason.NOT_READ, tuple((yield from mget(*epochs))), fingerprint=ANY_ENTRY)
    *seen, text = yield from mget(*epochs, request.key)
    return (yield from examine(request, tuple(seen), text))


def examine(request: Request[T], seen: Epochs, text: str | None) -> Operation[Hit[T] | Miss[T]]:
    """Judge an entry that was read together with the epochs ``seen``."""
    if text is None:
        return Miss(Reason.UNKNOWN, seen)
    try:
        entry = request.decode(text)
        current = dict(zip(("", *request.tags), seen, strict=True))
        if not current.keys() <= entry.epochs.keys():
            return Miss(Reason.NOT_TAGGED, seen, fingerprint=fingerprint(text))
        if unnamed := [tag for tag in entry.epochs if tag not in current]:
            epochs = yield from mget(*map(request.keys.tag_epoch, unnamed))
            current.update(zip(unnamed, epochs, strict=True))
        if entry.epochs != current:
            detail = _clear_detail(entry, current, request.clock())
            return Miss(Reason.CLEARED, seen, fingerprint=fingerprint(text), detail=detail)
        return _judge_age(request, seen, text, entry)
    except UnreadableEntry as error:
        if request.policy.effective_mode.stores:
            with suppress(StoreError):  # the entry expires by itself
                yield from unlink(request.key)
        return Miss(error.reason, seen, fingerprint=fingerprint(text))


def _clear_detail(entry: Entry, current: dict[str, str | None], now: float) -> str:
    """Return which clear removed an entry, and how many seconds ago."""
    changed = [name for name, epoch in current.items() if entry.epochs[name] != epoch]
    cleared = "a tag or its tenant" if "" not in changed else "its namespace"
    times = [at for name in changed if (at := cleared_at(current[name])) is not None]
    return f"by {cleared}" + (f" {max(0.0, now - max(times)):.0f} s ago" if times else "")


def judge(request: Request[T], seen: Epochs, text: str) -> Hit[T] | Miss[T]:
    """Judge an entry whose epochs are current; raise ``UnreadableEntry``. No command."""
    return _judge_age(request, seen, text, request.decode(text))


def _judge_age(request: Request[T], seen: Epochs, text: str, entry: Entry) -> Hit[T] | Miss[T]:
    policy, now = request.policy, request.clock()
    age, remaining = entry.age(now), entry.remaining(now)
    if policy.accepts(age, remaining):
        return Hit(request.codec.read(entry), age, remaining, text)
    if remaining > 0:
        return Miss(Reason.TOO_OLD, seen, fingerprint=fingerprint(text))
    if not policy.tolerates_on_error(remaining):
        return Miss(Reason.EXPIRED, seen, fingerprint=fingerprint(text))
    stale = Hit(request.codec.read(entry), age, remaining, text)
    return Miss(Reason.EXPIRED, seen, stale, fingerprint(text))
