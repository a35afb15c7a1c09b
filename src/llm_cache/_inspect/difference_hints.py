"""Short hints for differences between two keys: why two values are not equal."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Any

_BY_PATH = {
    "format": "the calls used two versions of the library",
    "form": "the calls differ in canonical_keys or in the policy's key",
    "namespace": "each namespace has answers of its own",
    "naming_key": "the caches have different keys for signing or encryption",
    "tenant": "no tenant sees the answers of another",
    "tags": "a lookup with a tag that the stored answer lacks is a miss: not_tagged",
    "max_age": "an answer that is older is a miss: too_old",
    "min_fresh": "an answer with less time left is a miss: too_old",
}
_ADDRESS = re.compile(r"0x[0-9a-fA-F]+")
_ALIKE: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("only whitespace differs", lambda text: "".join(text.split())),
    ("only Unicode normalisation differs", lambda text: unicodedata.normalize("NFKC", text)),
    ("only upper and lower case differ", str.casefold),
    (
        "only the address of an object differs: use CachePolicy(key=…), or give it a repr",
        lambda text: _ADDRESS.sub("", text),
    ),
)


def hint(path: str, first: Any, second: Any) -> str:
    """Return why two values at a path are not equal, if that is known; else an empty text."""
    if path.endswith("(order)"):
        return "the order of the fields enters the key"
    if known := _BY_PATH.get(path.removeprefix("cache.").partition(".")[0]):
        return known
    if isinstance(first, str) and isinstance(second, str):
        return next((why for why, form in _ALIKE if form(first) == form(second)), "")
    numbers = isinstance(first, int | float) and isinstance(second, int | float)
    if numbers and first == second:
        return "the same number in two forms, which are different values in a key"
    texts = {type(value) for value in (first, second)} <= {str, int, float}
    return "a text and a number" if texts and not numbers else ""
