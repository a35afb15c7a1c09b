"""Compare two calls, and name the parts of the key in which they differ.

Both calls are results of ``cache.explain``, or both are bodies of ``POST /ask``. It answers "I
asked the same, why no hit?". No command, no file, no output.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from llm_cache._inspect.compared_call import ComparedCall, NotComparable, read_call
from llm_cache._inspect.difference_hints import hint

ABSENT = object()
ORDER = ".(order)"
OTHER_REASONS = (
    "nothing was stored: the first answer was not cacheable, or its call failed (skipped, error)",
    "the entry has expired (expired), or Redis evicted it (unknown)",
    "the namespace, the tenant or a tag was cleared in between (cleared)",
    "the lookup has a tag that the stored answer lacks (not_tagged)",
    "the entry is older, or has less time left, than max_age or min_fresh accepts (too_old)",
    "the mode does not read: refresh or bypass (not_read)",
)
OTHER_CALLER = "the tenant differs, because another identity made the call (unknown)"


class Difference(NamedTuple):
    """One place where two calls differ; ``first`` and ``second`` are texts to show."""

    path: str
    first: str
    second: str
    enters_key: bool
    hint: str = ""

    def __str__(self) -> str:
        """Return one line: ``parameters.temperature: 0 ≠ 0.2``."""
        return f"{self.path}: {self.first} ≠ {self.second}" + (f" ({self.hint})" * bool(self.hint))


class Comparison(NamedTuple):
    """The differences of two calls, and remarks about both."""

    differences: list[Difference]
    notes: list[str]
    comparable_keys: bool
    """Whether both calls have a key."""

    @property
    def same_key(self) -> bool:
        """Whether both calls have one key."""
        return self.comparable_keys and not any(each.enters_key for each in self.differences)

    def lines(self) -> list[str]:
        """Return the result as lines to print."""
        within = [str(each) for each in self.differences if each.enters_key]
        beside = [
            f"not part of the key: {each}" for each in self.differences if not each.enters_key
        ]
        return [*within, *beside, *self.notes]

    def as_dict(self) -> dict[str, Any]:
        """Return the result as values of JSON."""
        differences = [each._asdict() for each in self.differences]
        return {"same_key": self.same_key, "differences": differences, "notes": self.notes}


def difference(first: Any, second: Any, *, values: bool = False) -> Comparison:
    """Return the differences of two calls, which ``json.loads`` has read.

    Texts are withheld unless ``values``; an explanation that holds hashes has none to show. Raises
    ``NotComparable``, which names what is wrong.
    """
    one, other = read_call("the first file", first), read_call("the second file", second)
    _check_comparable(one, other)
    places = [(True, *place) for place in _walk(one.parts, other.parts, "")]
    for name in dict.fromkeys([*one.conditions, *other.conditions]):
        pair = one.conditions.get(name, ABSENT), other.conditions.get(name, ABSENT)
        places += [(False, name, *pair)] * (pair[0] != pair[1])
    found = [
        Difference(
            path,
            _text(a, one, path, values=values),
            _text(b, other, path, values=values),
            enters_key,
            hint(path, a, b),
        )
        for enters_key, path, a, b in places
    ]
    has_keys = not (one.uncacheable or other.uncacheable)
    result = Comparison(found, [], has_keys)
    return result._replace(notes=_notes(one, other, same_key=result.same_key))


def _check_comparable(one: ComparedCall, other: ComparedCall) -> None:
    if one.kind != other.kind:
        raise NotComparable(f"the first file is {one.kind}, and the second is {other.kind}")
    if one.hashed != other.hashed:
        raise NotComparable(
            "one explanation holds values and the other hashes: make both with the same values=…"
        )
    names = [each.parts.get("naming_key") for each in (one, other)]
    if one.hashed and names[0] != names[1]:
        raise NotComparable(
            "the caches have different keys for signing or encryption, so their calls have "
            "different keys, and their hashes cannot be compared; use explain(…, values=True)"
        )


def _notes(one: ComparedCall, other: ComparedCall, *, same_key: bool) -> list[str]:
    notes = [
        f"{name} call is not cached: {call.uncacheable}"
        for name, call in (("the first", one), ("the second", other))
        if call.uncacheable
    ]
    if not same_key:
        return notes
    if one.key != other.key:
        return [
            *notes,
            "the keys differ although no part does: a file was changed after explain() made it",
        ]
    reasons = OTHER_REASONS if one.key else (OTHER_CALLER, *OTHER_REASONS)
    equal = "the keys are equal" if one.key else "the keys are equal for one caller"
    return [*notes, f"{equal}; a miss may have another reason:", *(f"- {why}" for why in reasons)]


def _walk(one: Any, other: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    """Yield each path at which two trees differ, and both values."""
    if isinstance(one, dict) and isinstance(other, dict):
        for name in dict.fromkeys([*one, *other]):
            pair = one.get(name, ABSENT), other.get(name, ABSENT)
            yield from _walk(*pair, f"{path}.{name}" if path else name)
        if one.keys() == other.keys() and list(one) != list(other):
            yield f"{path}{ORDER}", list(one), list(other)
    elif isinstance(one, list) and isinstance(other, list):
        for at in range(max(len(one), len(other))):
            pair = _item(one, at), _item(other, at)
            yield from _walk(*pair, f"{path}.{at}")
    elif ABSENT in (one, other) or json.dumps(one) != json.dumps(other):
        yield path, one, other


def _item(items: list[Any], at: int) -> Any:
    return items[at] if at < len(items) else ABSENT


def _text(value: Any, call: ComparedCall, path: str, *, values: bool) -> str:
    """Return a value to show; a value that must not be shown as its kind."""
    if value is ABSENT:
        return "absent"
    if isinstance(value, str) and (call.hashed or call.shows_text_at(path)):
        return value
    if values or call.hashed or path.endswith(ORDER) or value is None:
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, int | float):
        return json.dumps(value) if call.shows_numbers_at(path) else "a number"
    if isinstance(value, str):
        return f"text of length {len(value)}"
    return f"a list of {len(value)}" if isinstance(value, list) else "an object"
