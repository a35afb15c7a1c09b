"""Environment variables that set the fields of a dataclass."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import field, fields
from typing import Any, NamedTuple

from llm_cache._errors import InvalidSettings, InvalidValue


class Variable(NamedTuple):
    """The environment variable of a field.

    ``parse`` returns the value of a text. ``check`` takes the name of the variable or the field and
    a value; it returns the value or raises ``InvalidValue``.
    """

    name: str
    parse: Callable[[str], Any]
    check: Callable[[str, Any], Any]
    secret: bool = False

    def read(self, text: str) -> Any:
        """Return the value of a text; raise ``InvalidSettings`` that names the variable."""
        try:
            return self.check(self.name, self.parse(text))
        except InvalidValue as error:
            shown = error.value if self.secret else text
            raise InvalidSettings(self.name, shown, error.accepted) from error


def variable(
    name: str,
    *,
    default: Any = None,
    parse: Callable[[str], Any] = str,
    check: Callable[[str, Any], Any] = lambda _name, value: value,
    secret: bool = False,
) -> Any:
    """Return a dataclass field that an environment variable sets. No repr shows a ``secret``."""
    metadata = {"variable": Variable(name, parse, check, secret)}
    return field(default=default, repr=not secret, metadata=metadata)


def number(name: str, default: float | None, check: Callable[[str, Any], Any]) -> Any:
    """Return a dataclass field that an environment variable sets to a number."""
    return variable(name, default=default, parse=as_number, check=check)


def read(config: Any, environ: Mapping[str, str], without: Collection[str] = ()) -> dict[str, Any]:
    """Return the values of the set variables by field, except the fields in ``without``.

    Raises ``InvalidSettings`` that names the variable.
    """
    values = {}
    for each in fields(config):
        found: Variable | None = each.metadata.get("variable")
        if found and each.name not in without and (text := environ.get(found.name, "").strip()):
            values[each.name] = found.read(text)
    return values


def environment(environ: Mapping[str, str] | None) -> Mapping[str, str]:
    """Return ``environ``; None: the variables of the process.

    ``help()`` would print every secret in a default argument of ``os.environ``.
    """
    return os.environ if environ is None else environ


def as_number(text: str) -> float | str:
    """Return the number in a text; a text without one is returned for the check to refuse."""
    try:
        return int(text) if text.isdecimal() else float(text)
    except ValueError:
        return text
