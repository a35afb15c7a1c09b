"""Explain the key of a call: each part that enters it, as JSON, with or without its values.

Two explanations have equal ``parts`` if, and only if, their calls have one key. Loaded on use.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any, TypeAlias

from llm_cache._engine.cache_call import CacheCall
from llm_cache._entries.keys import EXPLANATION, KEY_VERSION, digest, keyed_hash
from llm_cache._errors import Uncacheable
from llm_cache._policy.cache_policy import CachePolicy
from llm_cache._policy.ttl import in_seconds

HASH_LENGTH = 12  # hexadecimal digits
_NAME = re.compile(r"[A-Za-z_][\w.-]{0,63}", re.ASCII)


class Shown:
    """Makes JSON of the values in a key; equal values, and no others, have equal JSON.

    Without ``values``, a short hash replaces each text and number, and each name of a field that
    does not look like one. ``secret`` keys these hashes, so that guesses cannot be tested. Names in
    parentheses are of the explanation itself: ``(number)``, ``(class)`` and so on.
    """

    def __init__(self, *, values: bool, secret: bytes | None) -> None:
        self.values = values
        self._secret = secret

    def __call__(self, value: Any, *, numbers: bool = False) -> Any:
        """Return the JSON of a value of ``json.loads``; ``numbers``: numbers are never withheld."""
        if isinstance(value, dict):
            return {self._name(name): self(part, numbers=numbers) for name, part in value.items()}
        if isinstance(value, list):
            return [self(part, numbers=numbers) for part in value]
        number = isinstance(value, int | float)
        if not (self.values or value is None or (numbers and number)):
            kind = type(value).__name__ if number else f"text of length {len(value)}"
            return f"{kind} #{self.hash(value)}"
        finite = not isinstance(value, float) or math.isfinite(value)
        return value if finite else {"(number)": str(value)}

    def hash(self, value: Any) -> str:
        """Return the short hash of a text or a number."""
        return keyed_hash(digest("explained", json.dumps(value)), self._secret)[:HASH_LENGTH]

    def _name(self, name: str) -> str:
        if not (self.values or _NAME.fullmatch(name)):
            return f"#{self.hash(name)}"
        return f"({name}" if name.startswith("(") else name


Describe: TypeAlias = Callable[[Shown], dict[str, Any]]
"""Returns the parts of a key that are of one kind of cache."""


def explain(call: CacheCall[Any], describe: Describe, *, values: bool) -> dict[str, Any]:
    """Return the parts of a call's key, and what else decides about a hit."""
    policy, protection = call.policy, call.protection()
    shown = Shown(values=values, secret=protection.name_secret if protection else None)
    key, refused = None, None
    try:
        key = call.protect(call.identify()).key
    except Uncacheable as error:
        refused = {"reason": error.reason.value, "message": str(error)}
    parts = {
        "format": KEY_VERSION,
        "namespace": policy.keyspace(call.keys).prefix,
        "naming_key": shown.hash("naming key") if protection else None,
        "tenant": shown(policy.tenant),
        "salt": shown(policy.salt),
    }
    return {
        "kind": EXPLANATION,
        "key": key,
        "uncacheable": refused,
        "values": values,
        "parts": parts | describe(shown),
        "not_in_key": _conditions(policy, shown),
    }


def _conditions(policy: CachePolicy, shown: Shown) -> dict[str, Any]:
    """Return what may refuse an entry under the same key: tags, ages and the mode."""
    ages = {name: getattr(policy, name) for name in ("max_age", "min_fresh", "max_stale")}
    return {
        "mode": policy.effective_mode.value,
        "tags": sorted(shown(tag) for tag in policy.tags or ()),
        **{name: in_seconds(age) for name, age in ages.items() if age is not None},
    }
