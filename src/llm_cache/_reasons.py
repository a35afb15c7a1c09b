"""The reasons for all outcomes: hits, misses, answers that are not stored, and failures."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why an outcome has its status; reports, logs, metrics and replies use these names."""

    # A hit, but not from Redis by the lookup's own command.
    COLLAPSED = "collapsed"
    """Another caller's in-flight call returned the answer (RFC 9211, section 2.7)."""
    MEMORY = "memory"
    """The memory tier in the process had the answer."""

    # A miss.
    UNKNOWN = "unknown"
    """Nothing is stored under the key."""
    CLEARED = "cleared"
    """The entry was cleared, by its namespace, its tenant or one of its tags."""
    NOT_TAGGED = "not_tagged"
    """The entry lacks a tag of the policy, so a clear of that tag would not reach it."""
    TOO_OLD = "too_old"
    """The entry is older, or has less time left, than the policy accepts."""
    EXPIRED = "expired"
    """The entry's TTL has ended."""
    UNREADABLE = "unreadable"
    """The cache did not write the entry in this form; the entry was deleted."""
    FORGED = "forged"
    """The entry was altered, moved, or not protected by a key of the cache; it was deleted."""
    NOT_READ = "not_read"
    """The policy's mode does not read."""

    # An answer that must not be stored, by ``llm_cache.uncacheable``.
    TRUNCATED = "truncated"
    """The model reached a limit: ``length``, ``max_tokens`` and the like."""
    WITHHELD = "withheld"
    """A filter, a guardrail or the model refused the answer."""
    FAILED = "failed"
    """The provider ended the answer with an error."""
    EMPTY = "empty"
    """The answer has no content and no tool call."""
    INVALID_TOOL_CALL = "invalid_tool_call"
    """A tool call cannot be parsed."""
    STALE = "stale"
    """The answer is a stale one from a cache; a second store would make it look fresh."""

    # A call without a key, because it looks like another call.
    AMBIGUOUS_SCHEMA = "ambiguous_schema"
    """The name of a class in the model's settings does not identify one JSON schema."""
    MASKED_SETTING = "masked_setting"
    """LangChain masks a setting of the model that may change the answer."""

    # An answer that is not stored for another reason.
    MODE = "mode"
    """The policy's mode does not store."""
    TTL = "ttl"
    """The TTL is 0, or its callable returned None."""
    NOT_RESTORABLE = "not_restorable"
    """The stored form would not restore the answer exactly."""
    TOO_LARGE = "too_large"
    """The answer takes more than ``max_bytes``."""
    LOOKUP_FAILED = "lookup_failed"
    """The lookup failed, so the answer may be older than a clear."""
    CLEARED_MEANWHILE = "cleared_meanwhile"
    """A clear ran while the answer was computed."""
    SUPERSEDED = "superseded"
    """Another caller stored a newer answer meanwhile."""

    # A failure of the cache; each error class has its reason.
    TIMEOUT = "timeout"
    """No reply arrived in time."""
    UNAVAILABLE = "unavailable"
    """No connection was made, or it broke."""
    CIRCUIT_OPEN = "circuit_open"
    """The circuit breaker sends no commands for a while."""
    REFUSED = "refused"
    """Upstash replied with an error."""
    GARBLED = "garbled"
    """The reply is not in Upstash's protocol."""
    INVALID = "invalid"
    """A policy or a setting is not accepted."""
    INTERNAL = "internal"
    """An unexpected error; the log has its class."""


UNCACHEABLE = frozenset({
    Reason.TRUNCATED, Reason.WITHHELD, Reason.FAILED,
    Reason.EMPTY, Reason.INVALID_TOOL_CALL, Reason.STALE,
})  # fmt: skip
"""The reasons that ``llm_cache.uncacheable`` can return."""
