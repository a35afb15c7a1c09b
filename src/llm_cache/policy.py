"""What one invocation wants of the cache, and how far the operator lets it.

``CachePolicy`` is the caller's wish; ``TtlBounds`` is the operator's word on it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from enum import StrEnum
from typing import Any

from llm_cache.errors import InvalidPolicy, InvalidSettings
from llm_cache.keys import MAX_TAGS, Keyspace, tag_hash

MAX_SECONDS = 10 * 365 * 86_400  # ten years: beyond it Redis may refuse an expiry
DEFAULT_TTL = 30 * 86_400.0

Seconds = float | timedelta
Ttl = Seconds | Callable[[Any, float], Seconds | None]
"""Seconds, a ``timedelta``, or ``(answer, now) -> seconds | None``; None: it is not stored."""


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

    @property
    def reads(self) -> bool:
        """Whether a stored answer may be returned."""
        return self in (Mode.USE, Mode.READ_ONLY)

    @property
    def stores(self) -> bool:
        """Whether a computed answer may be kept."""
        return self in (Mode.USE, Mode.REFRESH)

    def __and__(self, other: Mode) -> Mode:
        """Return the mode that does what both do."""
        return _MODES[self.reads and other.reads, self.stores and other.stores]


_MODES = {
    (True, True): Mode.USE,
    (False, True): Mode.REFRESH,
    (True, False): Mode.READ_ONLY,
    (False, False): Mode.BYPASS,
}


MAX_TEXT = 1000  # characters of a tag, a tenant or a salt
NOT_THE_CALLERS = ("tenant", "namespace")


def _text(field: str, value: object) -> None:
    if value is not None and not (isinstance(value, str) and 0 < len(value) <= MAX_TEXT):
        raise InvalidPolicy(field, value, f"text of 1 to {MAX_TEXT} characters")


def _namespace(value: str) -> None:
    try:
        Keyspace(value)
    except InvalidSettings as error:
        raise InvalidPolicy("namespace", value, error.accepted) from None


def _tags(value: object) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence) or len(value) > MAX_TAGS:
        raise InvalidPolicy("tags", value, f"a list of at most {MAX_TAGS} texts")
    for tag in value:
        _text("tags", tag)
    return tuple(dict.fromkeys(value))


def seconds(field: str, value: object) -> float:
    """Return ``value`` as seconds; raise ``InvalidPolicy`` naming ``field`` otherwise."""
    number = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise InvalidPolicy(field, value, "seconds as a number, or a timedelta")
    if not 0 <= number <= MAX_SECONDS:
        raise InvalidPolicy(field, value, f"0 to {MAX_SECONDS} seconds")
    return float(number)


@dataclass(frozen=True, slots=True, kw_only=True)
class CachePolicy:
    """What one invocation wants; a field left at None is left to the policy around it.

    - ``ttl``: how long the answer may be kept: seconds, a ``timedelta``, or a callable
      ``(answer, now) -> seconds | None``. 0 or None from the callable: it is not stored. Clamped
      between the operator's floor and ceiling.
    - ``max_age``: the oldest stored answer accepted, in seconds (RFC 9111, section 5.2.1.1).
    - ``mode``: a ``Mode`` or its value.
    - ``tags``: at most 8 names to clear the answer by, with ``cache.clear(tag=…)``.
    - ``tenant``, ``salt``: text that partitions the answers: those of one are never another's.
    - ``namespace``: another than the cache's own.

    Raises ``InvalidPolicy`` that names the field, the value and what is accepted.
    """

    ttl: Ttl | None = None
    max_age: Seconds | None = None
    mode: Mode | str | None = None
    tags: Sequence[str] | None = None
    tenant: str | None = None
    salt: str | None = None
    namespace: str | None = None

    def __post_init__(self) -> None:
        for name in ("tenant", "salt"):
            _text(name, getattr(self, name))
        if self.tags is not None:
            object.__setattr__(self, "tags", _tags(self.tags))
        if self.namespace is not None:
            _namespace(self.namespace)
        if self.ttl is not None and not callable(self.ttl):
            seconds("ttl", self.ttl)
        if self.max_age is not None:
            seconds("max_age", self.max_age)
        if self.mode is not None and self.mode not in list(Mode):
            raise InvalidPolicy("mode", self.mode, "one of " + ", ".join(Mode))

    def within(self, outer: CachePolicy) -> CachePolicy:
        """Return this policy with its open fields filled from ``outer``."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(outer, **{name: value for name, value in given.items() if value is not None})

    def __and__(self, other: CachePolicy) -> CachePolicy:
        """Return what satisfies both; a field that cannot be joined is this policy's if set."""
        ages = [seconds("max_age", age) for age in (self.max_age, other.max_age) if age is not None]
        return replace(
            self.within(other),
            max_age=min(ages, default=None),
            mode=self.effective_mode & other.effective_mode,
            tags=(*(self.tags or ()), *(other.tags or ())) or None,
        )

    @property
    def tag_hashes(self) -> tuple[str, ...]:
        """The hashes of the tags, in one order however they were given."""
        return tuple(sorted(map(tag_hash, self.tags or ())))

    @property
    def effective_mode(self) -> Mode:
        """The mode, ``USE`` when none was chosen."""
        return Mode.USE if self.mode is None else Mode(self.mode)

    def accepts_age(self, age: float) -> bool:
        """Whether an answer stored ``age`` seconds ago is young enough."""
        return self.max_age is None or age <= seconds("max_age", self.max_age)

    @classmethod
    def from_event(cls, fields_of_event: object) -> CachePolicy:
        """Read a policy from a field of a Lambda event: ``{"ttl": 60, "mode": "refresh"}``.

        Strict: an unknown field or an ill-typed value raises ``InvalidPolicy`` that names it. A
        field that is null counts as left out. ``tenant`` and ``namespace`` are not a caller's to
        choose: join them with ``CachePolicy(tenant=…)``.
        """
        if not isinstance(fields_of_event, Mapping):
            raise InvalidPolicy("cache", fields_of_event, "an object")
        known = [field.name for field in fields(cls) if field.name not in NOT_THE_CALLERS]
        for name, value in fields_of_event.items():
            if name not in known:
                raise InvalidPolicy(str(name), value, "one of the fields " + ", ".join(known))
        return cls(**fields_of_event)

    @classmethod
    def from_cache_control(cls, header: str) -> CachePolicy:
        """Read what a reader accepts from a request's ``Cache-Control`` (RFC 9111, section 5.2.1).

        ``max-age=N`` bounds the age of the answer, ``no-cache`` has it computed anew and stored,
        ``no-store`` leaves nothing behind, both together bypass the cache. Unknown directives are
        ignored, as section 5.2.3 asks; a ``max-age`` that is no number raises ``InvalidPolicy``.
        """
        directives = _directives(header)
        age = directives.get("max-age")
        return cls(
            mode=_MODES["no-cache" not in directives, "no-store" not in directives],
            max_age=None if age is None else _delta_seconds("max-age", age),
        )


_DIRECTIVE = re.compile(
    r"""([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:=(?:"((?:[^"\\]|\\.)*)"|([^,\s"]*)))?"""
)


def _directives(header: str) -> dict[str, str]:
    """Return the directives by lower-case name; of one that is repeated, the first counts."""
    found: dict[str, str] = {}
    for name, quoted, plain in _DIRECTIVE.findall(header):
        found.setdefault(name.lower(), quoted or plain)
    return found


def _delta_seconds(directive: str, text: str) -> float:
    """RFC 9111, section 1.2.2: a non-negative integer; one too large counts as the largest."""
    if not (text.isascii() and text.isdigit()):
        raise InvalidPolicy(f"Cache-Control {directive}", text, "a whole number of seconds")
    return float(min(int(text[:12]), MAX_SECONDS))


@dataclass(frozen=True, slots=True)
class TtlBounds:
    """How long answers live, by the operator: ``default``, ``floor``, ``ceiling``, in seconds."""

    default: Ttl = DEFAULT_TTL
    floor: float = 1.0
    ceiling: float = float(MAX_SECONDS)

    def __post_init__(self) -> None:
        if not 0 < self.floor <= self.ceiling <= MAX_SECONDS:
            accepted = f"0 < floor <= ceiling <= {MAX_SECONDS} seconds"
            raise InvalidSettings("ttl floor and ceiling", (self.floor, self.ceiling), accepted)
        if not callable(self.default):
            seconds("ttl", self.default)

    def resolve(self, wanted: Ttl | None, answer: object, now: float) -> int | None:
        """Return the whole seconds to keep ``answer``, or None when it is not to be stored.

        Fractions round up, since Redis' ``EX`` takes whole seconds. What a callable raises passes
        through; ``update`` then leaves the answer unstored.
        """
        ttl = self.default if wanted is None else wanted
        given = ttl(answer, now) if callable(ttl) else ttl
        if given is None:
            return None
        asked = given.total_seconds() if isinstance(given, timedelta) else given
        if asked <= 0:
            return None
        return math.ceil(min(max(asked, self.floor), self.ceiling))
