"""The one list of reasons: why a hit, a miss, an answer that is not stored, a failure."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why an outcome is what it is; reports, logs, metrics and replies use these names."""

    # A hit that did not come from Redis by the lookup's own command.
    COLLAPSED = "collapsed"
    """Another caller computed the answer while this one waited (RFC 9211, section 2.7)."""
    MEMORY = "memory"
    """The first tier in the process had the answer."""

    # A miss.
    UNKNOWN = "unknown"
    """Nothing is stored under the key."""
    CLEARED = "cleared"
    """The entry was cleared: its namespace, its tenant or one of its tags."""
    NOT_TAGGED = "not_tagged"
    """The entry lacks a tag of the policy, so a clear of that tag would not reach it."""
    TOO_OLD = "too_old"
    """The entry is older, or has less time left, than the policy accepts."""
    EXPIRED = "expired"
    """The entry has outlived its TTL."""
    UNREADABLE = "unreadable"
    """The entry is not what the cache wrote, and was deleted."""
    FORGED = "forged"
    """The entry was altered, moved, or protected by no key of the cache, and was deleted."""
    NOT_READ = "not_read"
    """The policy's mode does not read."""

    # An answer that may not be kept, by the verdict on its message.
    TRUNCATED = "truncated"
    """The model ran out of room: ``length``, ``max_tokens`` and the like."""
    WITHHELD = "withheld"
    """A filter, a guardrail or the model itself refused the answer."""
    FAILED = "failed"
    """The provider ended the answer with an error."""
    EMPTY = "empty"
    """The answer has no content and no tool call."""
    INVALID_TOOL_CALL = "invalid_tool_call"
    """A tool call cannot be parsed."""
    STALE = "stale"
    """The answer came expired from a cache; stored again it would pass for fresh."""

    # A call that cannot be told apart from another, so it has no key.
    AMBIGUOUS_SCHEMA = "ambiguous_schema"
    """A class in the model's settings is known by its name only."""
    MASKED_SETTING = "masked_setting"
    """LangChain masks a setting of the model that may change the answer."""

    # An answer that is not stored for another reason.
    MODE = "mode"
    """The policy's mode does not store."""
    TTL = "ttl"
    """The TTL is 0, or its callable returned None."""
    NOT_RESTORABLE = "not_restorable"
    """The answer would not come back as it is now."""
    TOO_LARGE = "too_large"
    """The answer takes more than ``max_bytes``."""
    LOOKUP_FAILED = "lookup_failed"
    """The lookup failed, so the answer may be older than a clear."""
    CLEARED_MEANWHILE = "cleared_meanwhile"
    """A clear came while the answer was computed."""
    SUPERSEDED = "superseded"
    """Another caller stored a newer answer meanwhile."""

    # A failure of the cache; each error class has its own.
    TIMEOUT = "timeout"
    """No answer came within the time allowed."""
    UNAVAILABLE = "unavailable"
    """No connection, or it broke."""
    CIRCUIT_OPEN = "circuit_open"
    """The circuit breaker does not ask Upstash for a while."""
    REFUSED = "refused"
    """Upstash answered with an error."""
    GARBLED = "garbled"
    """The reply is not Upstash's protocol."""
    INVALID = "invalid"
    """A policy or a setting is not accepted."""
    INTERNAL = "internal"
    """An unexpected error; the log names its class."""


UNCACHEABLE = frozenset({
    Reason.TRUNCATED, Reason.WITHHELD, Reason.FAILED,
    Reason.EMPTY, Reason.INVALID_TOOL_CALL, Reason.STALE,
})  # fmt: skip
"""What the verdict on a message may say (``llm_cache.uncacheable``)."""
