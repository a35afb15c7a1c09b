"""Checks of arguments. The constructor that keeps a value checks it, once."""

from __future__ import annotations

import math
from types import UnionType
from typing import NamedTuple, TypeVar

from llm_cache._errors import InvalidSettings

T = TypeVar("T")
ABOVE_0 = math.ulp(0.0)  # the smallest float above 0
BELOW_1 = math.nextafter(1.0, 0.0)  # the largest float below 1


class Range(NamedTuple):
    """The numbers from ``least`` to ``most``, both included; errors quote ``accepted``."""

    accepted: str
    least: float = 0
    most: float = math.inf
    whole: bool = False

    def __contains__(self, value: object) -> bool:
        """Whether a value is a number in the range. A bool is no number; NaN is in no range."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return self.least <= value <= self.most and (isinstance(value, int) or not self.whole)

    def check(self, name: str, value: T) -> T:
        """Return ``value`` if it is in the range; raise ``InvalidSettings`` otherwise."""
        if value not in self:
            raise InvalidSettings(name, value, self.accepted)
        return value


above_zero = Range("more than 0", least=ABOVE_0).check


def instance(
    name: str, value: T, kinds: type | UnionType, accepted: str, *, secret: bool = False
) -> T:
    """Return ``value`` if it is of ``kinds``; raise ``InvalidSettings`` otherwise.

    For a ``secret``, the error shows the value's class.
    """
    if not isinstance(value, kinds):
        raise InvalidSettings(name, type(value).__qualname__ if secret else value, accepted)
    return value


def function(name: str, value: T, returns: str) -> T:
    """Return ``value`` if it can be called; raise ``InvalidSettings`` otherwise."""
    if not callable(value):
        raise InvalidSettings(name, value, f"a function that returns {returns}")
    return value
