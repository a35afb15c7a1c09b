"""What can go wrong, and which of it a caller sees.

LlmCacheError
├── InvalidValue (ValueError)
│   ├── InvalidPolicy               what an invocation asked for makes no sense
│   └── InvalidSettings             what the operator configured makes no sense
├── CacheMiss                       nothing to return, and the policy wants no model call
├── Uncacheable                     the call has no key, since it looks like another
├── UnreadableEntry                 stored bytes that are not an entry of this version
│   └── ForgedEntry                 an entry that was altered, moved or never protected
└── StoreError                      Upstash did not do what it was asked
    ├── StoreTimeout                no answer within the time allowed
    ├── StoreUnavailable            no connection, or it broke
    │   └── CircuitOpen             not asked, since it has failed repeatedly
    ├── StoreRefused                an answer that says no: token, permission, memory
    │   └── QuotaExceeded           it refuses every command for a while: requests, bandwidth
    └── StoreGarbled                an answer that is not Upstash's protocol

``lookup`` and ``update`` never raise any of these but ``CacheMiss``, which is asked for: a failing
cache is a miss, and an answer that was paid for reaches its caller. Constructors, ``clear`` and
``delete`` raise them; ``reclaim`` returns a ``StoreError`` with how far it came.
"""

from __future__ import annotations

from llm_cache._reasons import Reason


class LlmCacheError(Exception):
    """Root of every error this library raises; ``reason`` is what a report says of it."""

    reason: Reason = Reason.INTERNAL


class InvalidValue(LlmCacheError, ValueError):
    """Say what is wrong, its value, and what is accepted.

    An error ends in a log: of a ``withheld`` value, which may name a person or hold a prompt, the
    message tells no more than the kind and the length.
    """

    reason = Reason.INVALID

    def __init__(self, name: str, value: object, accepted: str, *, withheld: bool = False) -> None:
        shown = _shown(value, withheld=withheld)
        super().__init__(f"{name}={shown} is not accepted: {accepted}")
        self.name = name
        self.value = value
        self.accepted = accepted


def _shown(value: object, *, withheld: bool) -> str:
    try:
        return _outline(value) if withheld else repr(value)
    except Exception:  # noqa: BLE001  an integer too long to write, lists too deep, code of any kind
        return f"<{type(value).__name__}>"


def _outline(value: object) -> str:
    if value is None or value == "" or isinstance(value, int | float):
        return repr(value)
    return f"<{len(value)} characters>" if isinstance(value, str) else f"<{type(value).__name__}>"


class InvalidPolicy(InvalidValue):
    """What an invocation asks for makes no sense; ``name`` is the policy's field."""


class InvalidSettings(InvalidValue):
    """What the operator configured makes no sense; ``name`` is the argument or the variable."""


class CacheMiss(LlmCacheError):
    """Nothing stored is acceptable, and ``only_if_cached`` wants no model call."""


class Uncacheable(LlmCacheError):
    """The call cannot be told apart from another; the message names the setting and the remedy."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class UnreadableEntry(LlmCacheError):
    """Stored text that does not decode to an entry: foreign, damaged, or of another version."""

    reason = Reason.UNREADABLE


class ForgedEntry(UnreadableEntry):
    """An entry of a protected cache that was altered, moved or never protected."""

    reason = Reason.FORGED


class StoreError(LlmCacheError):
    """Upstash did not do what it was asked; the message never holds a token or a value."""


class StoreTimeout(StoreError):
    """No answer came within the time allowed."""

    reason = Reason.TIMEOUT


class StoreUnavailable(StoreError):
    """No connection could be made, or it broke before the answer was whole."""

    reason = Reason.UNAVAILABLE


class CircuitOpen(StoreUnavailable):
    """It has failed repeatedly, and is left alone for a while."""

    reason = Reason.CIRCUIT_OPEN


class StoreRefused(StoreError):
    """Upstash answered with an error: token, permission, memory, or syntax."""

    reason = Reason.REFUSED


class QuotaExceeded(StoreRefused):
    """Upstash refuses every command: HTTP 429, or a quota of requests or bandwidth is used up.

    ``retry_after`` is the seconds that its ``Retry-After`` says to wait; None if it says nothing.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class StoreGarbled(StoreError):
    """What answered does not speak Upstash's protocol: a proxy's page, a truncated body."""

    reason = Reason.GARBLED
