"""Checks of arguments. Each is made once, by the constructor of the object that keeps the value."""

from __future__ import annotations

from collections.abc import Callable
from types import UnionType
from typing import Any, TypeVar

from llm_cache._errors import InvalidSettings

T = TypeVar("T")
N = TypeVar("N", int, float)


def number(name: str, value: N, accepted: str, fits: Callable[[Any], bool]) -> N:
    """Return ``value`` if it is a number that ``fits``; raise ``InvalidSettings`` otherwise.

    A bool is no number, and NaN fits no comparison.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not fits(value):
        raise InvalidSettings(name, value, accepted)
    return value


def above_zero(name: str, value: N) -> N:
    """Return ``value`` if it is a number above 0; raise ``InvalidSettings`` otherwise."""
    return number(name, value, "more than 0", lambda given: given > 0)


def instance(
    name: str, value: T, kinds: type | UnionType, accepted: str, *, secret: bool = False
) -> T:
    """Return ``value`` if it is of ``kinds``; raise ``InvalidSettings`` otherwise.

    Of a ``secret`` the error holds the class instead of the value.
    """
    if not isinstance(value, kinds):
        raise InvalidSettings(name, type(value).__qualname__ if secret else value, accepted)
    return value


def function(name: str, value: T, returns: str) -> T:
    """Return ``value`` if it can be called; raise ``InvalidSettings`` otherwise."""
    if not callable(value):
        raise InvalidSettings(name, value, f"a function that returns {returns}")
    return value
