"""What one invocation wants of the cache."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Any, ClassVar, TypedDict

from llm_cache._entries.keys import MAX_TAGS, MAX_TEXT, Keyspace
from llm_cache._errors import InvalidPolicy, InvalidSettings
from llm_cache._policy.cache_control import delta_seconds, directives
from llm_cache._policy.ttl import MAX_SECONDS, Seconds, Ttl, in_seconds, seconds


class Mode(StrEnum):
    """How an invocation uses the cache."""

    USE = "use"
    """Read, and store what had to be computed."""
    REFRESH = "refresh"
    """Compute anew, and overwrite."""
    READ_ONLY = "read_only"
    """Read, and leave nothing behind."""
    BYPASS = "bypass"
    """Neither read nor store."""
    ONLY_IF_CACHED = "only_if_cached"
    """Read, and raise ``CacheMiss`` rather than have the model asked."""

    @property
    def reads(self) -> bool:
        """Whether a stored answer may be returned."""
        return self in (Mode.USE, Mode.READ_ONLY, Mode.ONLY_IF_CACHED)

    @property
    def stores(self) -> bool:
        """Whether a computed answer may be kept."""
        return self in (Mode.USE, Mode.REFRESH)

    def __and__(self, other: Mode) -> Mode:
        """Return the mode that does what both do; whoever wants no model call, gets none."""
        if Mode.ONLY_IF_CACHED in (self, other):
            return Mode.ONLY_IF_CACHED
        return _MODES[self.reads and other.reads, self.stores and other.stores]


_MODES = {
    (True, True): Mode.USE,
    (False, True): Mode.REFRESH,
    (True, False): Mode.READ_ONLY,
    (False, False): Mode.BYPASS,
}


class Coalesce(StrEnum):
    """Among whom equal questions asked at once cost one call of the model."""

    OFF = "off"
    """Nobody: each asks for itself."""
    PROCESS = "process"
    """The threads and tasks of this process."""
    FLEET = "fleet"
    """Every process that uses the database."""


NOT_THE_CALLERS = ("key", "tenant", "namespace")


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


def _withheld() -> Any:
    """Return a field that no representation shows, for it may name a person."""
    return field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CachePolicy:
    """What one invocation wants; a field left at None is left to the policy around it.

    - ``ttl``: how long the answer may be kept: seconds, a ``timedelta``, or a callable
      ``(answer, now) -> seconds | None``. 0 or None from the callable: it is not stored. Clamped
      between the operator's floor and ceiling.
    - ``max_age``: the oldest stored answer accepted, in seconds (RFC 9111, section 5.2.1.1).
    - ``min_fresh``: the least time an answer must have left, in seconds (section 5.2.1.3).
    - ``max_stale``: how long ago, in seconds, an answer may have expired (section 5.2.1.2); it is
      there as long as ``stale_if_error`` had it kept.
    - ``stale_if_error``: seconds to keep an answer beyond its TTL, and to serve it within them when
      the model fails, by ``or_stale`` (RFC 5861, section 4).
    - ``mode``: a ``Mode`` or its value.
    - ``coalesce``: among whom equal questions asked at once cost one call of the model: a
      ``Coalesce`` or its value. The others wait for its answer, each within its own time.
    - ``tags``: at most 8 names to clear the answer by, with ``cache.clear(tag=…)``.
    - ``tenant``, ``salt``: text that partitions the answers: those of one are never another's.
    - ``namespace``: another than the cache's own.
    - ``key``: text that names the question, in place of the prompt and the model's settings: every
      call in the block is then that question. Tenant, salt and namespace partition it as ever.

    Raises ``InvalidPolicy`` that names the field, the value and what is accepted.
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
    tags: Sequence[str] | None = _withheld()
    tenant: str | None = _withheld()
    salt: str | None = _withheld()
    namespace: str | None = None
    key: str | None = _withheld()

    def __post_init__(self) -> None:
        for name in ("tenant", "salt", "key"):
            _text(name, getattr(self, name))
        if self.tags is not None:
            object.__setattr__(self, "tags", _tags(self.tags))
        if self.namespace is not None:
            _namespace(self.namespace)
        if self.ttl is not None and not callable(self.ttl):
            seconds("ttl", self.ttl)
        for name in ("max_age", "min_fresh", "max_stale", "stale_if_error"):
            if getattr(self, name) is not None:
                seconds(name, getattr(self, name))
        for name, kind in (("mode", Mode), ("coalesce", Coalesce)):
            _one_of(name, kind, getattr(self, name))

    def within(self, outer: CachePolicy) -> CachePolicy:
        """Return this policy with its open fields filled from ``outer``."""
        if outer is NOTHING_ASKED:
            return self
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(outer, **{name: value for name, value in given.items() if value is not None})

    def __and__(self, other: CachePolicy) -> CachePolicy:
        """Return what satisfies both; a field that cannot be joined is this policy's if set."""
        modes = self.effective_mode, other.effective_mode
        reads = all(mode.reads for mode in modes)
        mode = modes[0] & modes[1]
        least = _joined(max, "min_fresh", self, other)
        return replace(
            self.within(other),
            max_age=_joined(min, "max_age", self, other),
            # neither a model call nor a stored answer will do: nothing is fresh enough
            min_fresh=float(MAX_SECONDS) if mode.reads and not reads else least,
            max_stale=_joined(min, "max_stale", self, other),
            mode=mode,
            tags=(*(self.tags or ()), *(other.tags or ())) or None,
        )

    @property
    def effective_mode(self) -> Mode:
        """The mode, ``USE`` when none was chosen."""
        return Mode.USE if self.mode is None else Mode(self.mode)

    @property
    def effective_coalesce(self) -> Coalesce:
        """Among whom to coalesce: nobody waits for an answer that will not be stored, or read."""
        forbidden = not callable(self.ttl) and self.ttl is not None and in_seconds(self.ttl) <= 0
        if self.coalesce is None or self.effective_mode is not Mode.USE or forbidden:
            return Coalesce.OFF
        return Coalesce(self.coalesce)

    def accepts(self, age: float, remaining: float) -> bool:
        """Whether an answer is young enough and has enough time left, both in seconds.

        One that has expired has less than none left; ``max_stale`` lets it pass.
        """
        if self.max_age is not None and age > in_seconds(self.max_age):
            return False
        if self.min_fresh is not None:
            return remaining >= in_seconds(self.min_fresh)
        late = in_seconds(self.max_stale) if self.max_stale is not None else -1
        return remaining > 0 or -remaining <= late

    @property
    def kept_beyond(self) -> int:
        """Whole seconds that an answer is kept beyond its TTL."""
        return math.ceil(in_seconds(self.stale_if_error or 0))

    def tolerates_on_error(self, remaining: float) -> bool:
        """Whether an answer that has expired may be served when the model fails."""
        return self.stale_if_error is not None and -remaining <= in_seconds(self.stale_if_error)

    @classmethod
    def from_event(cls, fields_of_event: object) -> CachePolicy:
        """Read a policy from a field of a Lambda event: ``{"ttl": 60, "mode": "refresh"}``.

        Strict: an unknown field or an ill-typed value raises ``InvalidPolicy`` that names it. A
        field that is null counts as left out. ``key``, ``tenant`` and ``namespace`` are not a
        caller's to choose: join them with ``CachePolicy(tenant=…)``.
        """
        if not isinstance(fields_of_event, Mapping):
            raise InvalidPolicy("cache", fields_of_event, "an object", withheld=True)
        known = [field.name for field in fields(cls) if field.name not in NOT_THE_CALLERS]
        for name, value in fields_of_event.items():
            if name not in known:
                accepted = "one of the fields " + ", ".join(known)
                raise InvalidPolicy(str(name), value, accepted, withheld=True)
        return cls(**fields_of_event)

    @classmethod
    def from_cache_control(cls, header: str) -> CachePolicy:
        """Read what a reader accepts from a request's ``Cache-Control`` (RFC 9111, section 5.2.1).

        ``max-age``, ``min-fresh``, ``max-stale`` and ``stale-if-error`` (RFC 5861) are the fields
        of those names, ``max-stale`` without a number meaning any time. ``no-cache`` has the answer
        computed anew and stored, ``no-store`` leaves nothing behind, both together bypass the
        cache; ``only-if-cached`` has the model left alone, and with ``no-cache`` accepts nothing.
        Unknown directives are ignored, as section 5.2.3 asks; a number that is none raises
        ``InvalidPolicy``.
        """
        told = directives(header)
        if told.get("max-stale") == "":
            told["max-stale"] = str(MAX_SECONDS)
        ages = {
            name.replace("-", "_"): delta_seconds(name, told[name])
            for name in ("max-age", "min-fresh", "max-stale", "stale-if-error")
            if name in told
        }
        mode = _MODES["no-cache" not in told, "no-store" not in told]
        policy = cls(mode=mode, **ages)  # type: ignore[arg-type]
        return policy & cls(mode="only_if_cached") if "only-if-cached" in told else policy


NOTHING_ASKED = CachePolicy()
"""What holds outside any block."""


class PolicyFields(TypedDict, total=False):
    """The fields of a ``CachePolicy`` as keyword arguments."""

    ttl: Ttl | None
    max_age: Seconds | None
    min_fresh: Seconds | None
    max_stale: Seconds | None
    stale_if_error: Seconds | None
    mode: Mode | str | None
    coalesce: Coalesce | str | None
    tags: Sequence[str] | None
    tenant: str | None
    salt: str | None
    namespace: str | None
    key: str | None


def chosen(policy: CachePolicy | None, fields: PolicyFields) -> CachePolicy:
    """Return ``policy``, or the policy of ``fields``; raise ``InvalidPolicy`` for both."""
    if policy is None:
        return CachePolicy(**fields)
    if fields or not isinstance(policy, CachePolicy):
        accepted = "a CachePolicy, or its fields by keyword, as in policy(ttl=120), not both"
        raise InvalidPolicy("policy", policy, accepted, withheld=True)
    return policy


def _joined(
    which: Callable[[list[float]], float], field: str, one: CachePolicy, other: CachePolicy
) -> float | None:
    given = [getattr(policy, field) for policy in (one, other)]
    known = [in_seconds(value) for value in given if value is not None]
    return which(known) if known else None
