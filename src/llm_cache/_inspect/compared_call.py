"""One of two calls to compare: the parts of its key, and what else decides about a hit.

A body of ``POST /ask`` counts as the function reads it (``functions/ask/ask_request.py``): null and
empty fields are absent, shares are floats, and a whole number of tokens is an integer.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from llm_cache._entries.keys import EXPLANATION

BODY, EXPLAINED = "a body of ask", "an explanation of a key"
_FIELDS = ("question", "system", "messages", "parameters", "cache")
_SHARES = ("temperature", "top_p")
_NUMBERS = ("format", "model", "parameters", "schemas", "max_age", "min_fresh", "max_stale")
_WORDS = ("form", "namespace", "mode", "cache.mode", "cache.coalesce")


class NotComparable(ValueError):
    """A file is not one of the two kinds, or the two cannot be compared; the message says why."""


class ComparedCall(NamedTuple):
    """``parts`` enter the key; ``conditions``, by path, do not. ``key`` is None for a body."""

    kind: str
    parts: dict[str, Any]
    conditions: dict[str, Any]
    key: str | None = None
    uncacheable: str = ""
    hashed: bool = False
    """Whether hashes replace the values."""

    def shows_numbers_at(self, path: str) -> bool:
        """Whether numbers are settings here; elsewhere they may belong to a person."""
        return self.kind == BODY or path.partition(".")[0] in _NUMBERS

    def shows_text_at(self, path: str) -> bool:
        """Whether a text is a name of the library or of a class."""
        role = self.kind == BODY and path.endswith(".role")
        return role or path in _WORDS or path.endswith("(class)")


def read_call(name: str, content: Any) -> ComparedCall:
    """Read the content of the file called ``name``; raise ``NotComparable``."""
    if not isinstance(content, dict):
        raise NotComparable(f"{name} is not a JSON object")
    if content.get("kind") == EXPLANATION:
        return _explanation(name, content)
    if "question" in content:
        return _body(name, content)
    raise NotComparable(f"{name} is neither {BODY}, with a question, nor {EXPLAINED}")


def _explanation(name: str, content: dict[str, Any]) -> ComparedCall:
    match content:
        case {
            "key": str() | None as key,
            "uncacheable": dict() | None as refused,
            "values": bool() as values,
            "parts": dict() as parts,
            "not_in_key": dict() as conditions,
        }:
            why = "" if refused is None else str(refused.get("message", "no reason"))
            return ComparedCall(EXPLAINED, parts, conditions, key, why, not values)
    raise NotComparable(f"{name} is not as explain() made it: a field is missing or changed")


def _body(name: str, content: dict[str, Any]) -> ComparedCall:
    for field in content:
        if field not in _FIELDS:
            known = ", ".join(_FIELDS)
            raise NotComparable(f"{name}: {field!r} is not a field of ask, which are {known}")
    _check_kinds(name, content)
    parameters = {name: _number(name, value) for name, value in _set(content, "parameters").items()}
    fields = {**content, "parameters": parameters, "cache": None}
    conditions = _set(content, "cache")
    parts = {field: value for field, value in fields.items() if value}
    if salt := conditions.pop("salt", None):
        parts["cache"] = {"salt": salt}
    if isinstance(tags := conditions.get("tags"), list):
        conditions["tags"] = sorted(set(map(str, tags)))
    by_path = {f"cache.{name}": value for name, value in conditions.items()}
    in_order = json.loads(json.dumps(parts, sort_keys=True))  # no order enters the key
    return ComparedCall(BODY, in_order, by_path)


def _check_kinds(name: str, content: dict[str, Any]) -> None:
    kinds = {"question": str, "system": str, "messages": list, "parameters": dict, "cache": dict}
    words = {str: "text", list: "a list", dict: "an object"}
    for field, value in content.items():
        if not isinstance(value, kinds[field]) and (value is not None or field == "question"):
            raise NotComparable(f"{name}: the field {field} is not {words[kinds[field]]}")


def _set(content: dict[str, Any], field: str) -> dict[str, Any]:
    """Return the fields of an object that are set."""
    return {name: value for name, value in (content.get(field) or {}).items() if value is not None}


def _number(name: str, value: Any) -> Any:
    """Return the number as ``ask`` reads it: 0 is 0.0 for a share, 5.0 is 5 for tokens."""
    if isinstance(value, bool):
        return value
    if name in _SHARES and isinstance(value, int):
        return float(value)
    whole = isinstance(value, float) and value.is_integer() and name not in _SHARES
    return int(value) if whole else value
