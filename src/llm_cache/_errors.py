"""The errors of the library, and which of them reach a caller.

LlmCacheError
├── InvalidValue (ValueError)
│   ├── InvalidPolicy               a field of an invocation's policy is not accepted
│   └── InvalidSettings             an argument or a variable of the operator is not accepted
├── CacheMiss                       no stored answer, and the policy allows no model call
├── Uncacheable                     the call has no key, because it looks like another call
├── UnreadableEntry                 stored text that is not an entry of this version
│   └── ForgedEntry                 an entry that was altered, moved or never protected
└── StoreError                      Upstash did not execute a command
    ├── StoreTimeout                no reply in time
    ├── StoreUnavailable            no connection, or it broke
    │   └── CircuitOpen             no command sent, after repeated failures
    ├── StoreRefused                an error reply: token, permission, memory
    │   └── QuotaExceeded           all commands are refused for a while: requests, bandwidth
    └── StoreGarbled                a reply that is not in Upstash's protocol

``lookup`` and ``update`` raise only ``CacheMiss``, in the mode ``only_if_cached``: a failing cache
is a miss, and a paid answer reaches its caller. Constructors, ``clear`` and ``delete`` raise the
other errors. ``reclaim`` returns a ``StoreError`` with its progress.
"""

from __future__ import annotations

from llm_cache._reasons import Reason


class LlmCacheError(Exception):
    """The base class of the library's errors; ``reason`` names it in reports."""

    reason: Reason = Reason.INTERNAL


class InvalidValue(LlmCacheError, ValueError):
    """A value is not accepted; the message has its name, the value and the accepted values.

    Errors are logged, so the message has only the type and the length of a ``withheld`` value,
    which may name a person or hold a prompt.
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
    except Exception:  # noqa: BLE001  an integer too long, lists too deep, user code
        return f"<{type(value).__name__}>"


def _outline(value: object) -> str:
    if value is None or value == "" or isinstance(value, int | float):
        return repr(value)
    return f"<{len(value)} characters>" if isinstance(value, str) else f"<{type(value).__name__}>"


class InvalidPolicy(InvalidValue):
    """A policy's field is not accepted; ``name`` is the field."""


class InvalidSettings(InvalidValue):
    """A setting is not accepted; ``name`` is the argument or the environment variable."""


class CacheMiss(LlmCacheError):
    """No stored answer is acceptable, and ``only_if_cached`` allows no model call."""


class Uncacheable(LlmCacheError):
    """The call looks like another call; the message names the setting and the remedy."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class UnreadableEntry(LlmCacheError):
    """Stored text does not decode to an entry: it is foreign, damaged, or of another version."""

    reason = Reason.UNREADABLE


class ForgedEntry(UnreadableEntry):
    """An entry of a protected cache was altered, moved or never protected."""

    reason = Reason.FORGED


class StoreError(LlmCacheError):
    """Upstash did not execute a command; the message never holds a token or a value."""


class StoreTimeout(StoreError):
    """No reply arrived in time."""

    reason = Reason.TIMEOUT


class StoreUnavailable(StoreError):
    """No connection was made, or it broke before the whole reply arrived."""

    reason = Reason.UNAVAILABLE


class CircuitOpen(StoreUnavailable):
    """Upstash failed repeatedly, so no command is sent for a while."""

    reason = Reason.CIRCUIT_OPEN


class StoreRefused(StoreError):
    """Upstash replied with an error: token, permission, memory, or syntax."""

    reason = Reason.REFUSED


class QuotaExceeded(StoreRefused):
    """Upstash refuses every command: HTTP 429, or a quota of requests or bandwidth is used up.

    ``retry_after`` is the seconds to wait, by the reply's ``Retry-After`` header, or None.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class StoreGarbled(StoreError):
    """A reply is not in Upstash's protocol: a proxy's page, a truncated body."""

    reason = Reason.GARBLED
