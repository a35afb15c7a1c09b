"""How one invocation uses the cache."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Any, ClassVar

from llm_cache._entries.keys import MAX_TAGS, MAX_TEXT, Keyspace
from llm_cache._errors import InvalidPolicy, InvalidSettings
from llm_cache._policy.cache_control import ages, directives
from llm_cache._policy.modes import Coalesce, Mode
from llm_cache._policy.ttl import MAX_SECONDS, Seconds, Ttl, check_seconds, in_seconds

SERVER_ONLY = ("key", "tenant", "namespace")  # fields that no event may set


def _text(field: str, value: object) -> None:
    if value is not None and not (isinstance(value, str) and 0 < len(value) <= MAX_TEXT):
        accepted = f"text of 1 to {MAX_TEXT} characters"
        raise InvalidPolicy(field, value, accepted, withheld=True)


def _namespace(value: str) -> None:
    try:
        Keyspace(value)
    except InvalidSettings as error:
        raise InvalidPolicy("namespace", value, error.accepted) from None


def _one_of(field: str, kind: type[StrEnum], value: object) -> None:
    if value is not None and value not in list(kind):
        raise InvalidPolicy(field, value, "one of " + ", ".join(kind))


def _tags(value: object) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence) or len(value) > MAX_TAGS:
        accepted = f"a list of at most {MAX_TAGS} texts"
        raise InvalidPolicy("tags", value, accepted, withheld=True)
    for tag in value:
        _text("tags", tag)
    return tuple(dict.fromkeys(value))


def _private() -> Any:
    """Return a field that no repr shows, because it may name a person."""
    return field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CachePolicy:
    """How one invocation uses the cache. A field that is None takes the outer policy's value.

    - ``ttl``: how long the answer may be kept: seconds, a ``timedelta``, or a callable
      ``(answer, now) -> seconds | None``. 0, or None from the callable: the answer is not stored.
      The operator's floor and ceiling clamp it.
    - ``max_age``: the oldest stored answer to accept, in seconds (RFC 9111, section 5.2.1.1).
    - ``min_fresh``: seconds that an answer must have left to live (section 5.2.1.3).
    - ``max_stale``: seconds by which an accepted answer may have expired (section 5.2.1.2). Redis
      holds such an answer only as long as ``stale_if_error`` kept it.
    - ``stale_if_error``: seconds to keep an answer beyond its TTL. ``or_stale`` serves it in
      that time if the model fails (RFC 5861, section 4).
    - ``mode``: a ``Mode`` or its value.
    - ``coalesce``: a ``Coalesce`` or its value: which callers share one model call for equal
      requests. Each waits at most as long as its own time allows.
    - ``tags``: at most 8 names to clear the answer by, with ``cache.clear(tag=…)``.
    - ``tenant``, ``salt``: text that partitions the answers: no partition sees another's.
    - ``namespace``: replaces the namespace of the cache.
    - ``key``: text that identifies the request instead of the prompt and the model's settings, for
      every call in the block. Tenant, salt and namespace still partition it.

    Raises ``InvalidPolicy``, which names the field, the value and the accepted values.
    """

    SECONDS_LIMIT: ClassVar[int] = MAX_SECONDS
    """The most seconds of any field."""
    TAG_LIMIT: ClassVar[int] = MAX_TAGS
    """The most tags of one answer."""
    TEXT_LIMIT: ClassVar[int] = MAX_TEXT
    """The most characters of a tag, tenant, salt or key."""

    ttl: Ttl | None = None
    max_age: Seconds | None = None
    min_fresh: Seconds | None = None
    max_stale: Seconds | None = None
    stale_if_error: Seconds | None = None
    mode: Mode | str | None = None
    coalesce: Coalesce | str | None = None
    tags: Sequence[str] | None = _private()
    tenant: str | None = _private()
    salt: str | None = _private()
    namespace: str | None = None
    key: str | None = _private()

    def __post_init__(self) -> None:
        for name in ("tenant", "salt", "key"):
            _text(name, getattr(self, name))
        if self.tags is not None:
            object.__setattr__(self, "tags", _tags(self.tags))
        if self.namespace is not None:
            _namespace(self.namespace)
        if self.ttl is not None and not callable(self.ttl):
            check_seconds("ttl", self.ttl)
        for name in ("max_age", "min_fresh", "max_stale", "stale_if_error"):
            if getattr(self, name) is not None:
                check_seconds(name, getattr(self, name))
        _one_of("mode", Mode, self.mode)
        _one_of("coalesce", Coalesce, self.coalesce)

    def within(self, outer: CachePolicy) -> CachePolicy:
        """Return this policy with its unset fields filled from ``outer``."""
        if outer is DEFAULT_POLICY:
            return self
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(outer, **{name: each for name, each in values.items() if each is not None})

    def __and__(self, other: CachePolicy) -> CachePolicy:
        """Return a policy that satisfies both; where both set another field, this policy's wins."""
        modes = self.effective_mode, other.effective_mode
        mode = modes[0] & modes[1]
        # neither a model call nor a stored answer will do: no answer is fresh enough
        unservable = mode.reads and not all(each.reads for each in modes)
        fresh = _stricter(max, self.min_fresh, other.min_fresh)
        return replace(
            self.within(other),
            max_age=_stricter(min, self.max_age, other.max_age),
            min_fresh=float(MAX_SECONDS) if unservable else fresh,
            max_stale=_stricter(min, self.max_stale, other.max_stale),
            mode=mode,
            tags=(*(self.tags or ()), *(other.tags or ())) or None,
        )

    def keyspace(self, default: Keyspace) -> Keyspace:
        """Return the keys of the policy's namespace; ``default`` if it has none."""
        return default if self.namespace is None else Keyspace(self.namespace)

    @property
    def effective_mode(self) -> Mode:
        """The mode; ``USE`` where none is set."""
        return Mode.USE if self.mode is None else Mode(self.mode)

    @property
    def effective_coalesce(self) -> Coalesce:
        """Which callers share a model call: none if its answer will not be stored or read."""
        unstored = not callable(self.ttl) and self.ttl is not None and in_seconds(self.ttl) <= 0
        if self.coalesce is None or self.effective_mode is not Mode.USE or unstored:
            return Coalesce.OFF
        return Coalesce(self.coalesce)

    def accepts(self, age: float, remaining: float) -> bool:
        """Whether an answer may be served; ``age``, and the time it has left to live, are seconds.

        ``remaining`` is below 0 once the answer has expired.
        """
        if self.max_age is not None and age > in_seconds(self.max_age):
            return False
        if self.min_fresh is not None:
            return remaining >= in_seconds(self.min_fresh)
        late = in_seconds(self.max_stale) if self.max_stale is not None else -1
        return remaining > 0 or -remaining <= late

    @property
    def kept_beyond(self) -> int:
        """Whole seconds to keep an answer beyond its TTL."""
        return math.ceil(in_seconds(self.stale_if_error or 0))

    def tolerates_on_error(self, remaining: float) -> bool:
        """Whether an expired answer may be served when the model fails."""
        return self.stale_if_error is not None and -remaining <= in_seconds(self.stale_if_error)

    @classmethod
    def from_event(cls, fields_of_event: object) -> CachePolicy:
        """Read a policy from a field of a Lambda event: ``{"ttl": 60, "mode": "refresh"}``.

        Raises ``InvalidPolicy`` that names an unknown field or a wrong value. A field that is null
        counts as unset. An event cannot set ``key``, ``tenant`` and ``namespace``: add them with
        ``& CachePolicy(tenant=…)``.
        """
        if not isinstance(fields_of_event, Mapping):
            raise InvalidPolicy("cache", fields_of_event, "an object", withheld=True)
        known = [field.name for field in fields(cls) if field.name not in SERVER_ONLY]
        for name, value in fields_of_event.items():
            if name not in known:
                accepted = "one of the fields " + ", ".join(known)
                raise InvalidPolicy(str(name), value, accepted, withheld=True)
        return cls(**fields_of_event)

    @classmethod
    def from_cache_control(cls, header: str) -> CachePolicy:
        """Read a policy from a request's ``Cache-Control`` header (RFC 9111, section 5.2.1).

        - ``max-age``, ``min-fresh``, ``max-stale``, ``stale-if-error`` (RFC 5861) set the fields of
          these names; ``max-stale`` without a number means any time
        - ``no-cache``: compute the answer anew and store it; ``no-store``: store nothing; both:
          bypass the cache
        - ``only-if-cached``: do not call the model; with ``no-cache`` no answer is accepted

        Unknown directives are ignored (section 5.2.3). Raises ``InvalidPolicy`` for a wrong number.
        """
        found = directives(header)
        mode = Mode.of(reads="no-cache" not in found, stores="no-store" not in found)
        policy = cls(mode=mode, **ages(found))  # type: ignore[arg-type]
        return policy & cls(mode=Mode.ONLY_IF_CACHED) if "only-if-cached" in found else policy


DEFAULT_POLICY = CachePolicy()
"""The policy outside any block."""


def _stricter(
    which: Callable[[list[float]], float], one: Seconds | None, other: Seconds | None
) -> float | None:
    known = [in_seconds(value) for value in (one, other) if value is not None]
    return which(known) if known else None
