"""The template's parameters, as a person names them: checked before anything is built."""

from __future__ import annotations

import difflib
import re
import shlex
from typing import TYPE_CHECKING, Any

from deployment.failure import Failure

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Declared = dict[str, dict[str, Any]]
NUMBER = re.compile(r"-?\d+(\.\d+)?")
UNSENDABLE = re.compile(r"[\"\\\n]")  # sam's own quoting has no way to say these


def parsed(source: str, text: str, declared: Declared) -> dict[str, str]:
    """Return the pairs of ``Name=Value …``, quoted as in a shell.

    Raises Failure, which names ``source`` and lists all that the template does not accept.
    """
    try:
        pairs = [pair.partition("=") for pair in shlex.split(text)]
    except ValueError as error:
        raise Failure(f"{source}: {error} in {text!r}; quote as in {_EXAMPLE}") from None
    wrong = [
        line for name, equals, value in pairs for line in _wrong(name, equals, value, declared)
    ]
    if wrong:
        raise Failure("\n".join([f"{source} is not accepted:", *(f"  {line}" for line in wrong)]))
    return {name: value for name, _, value in pairs}


_EXAMPLE = """PARAMETERS="CacheTtl=60 FlushSchedule='rate(12 hours)'\""""


def _wrong(name: str, equals: str, value: str, declared: Declared) -> Iterator[str]:
    if not equals:
        yield f"{name!r} is not Name=Value; quote a value with spaces, as in {_EXAMPLE}"
    elif name not in declared:
        yield f"{name}={value}: the template has no parameter {name}{_near(name, declared)}"
    elif accepted := _refusal(value, declared[name]):
        yield f"{name}={value}: {accepted}"


def _near(name: str, declared: Mapping[str, Any]) -> str:
    lower = {known.lower(): known for known in declared}
    if found := difflib.get_close_matches(name.lower(), lower, n=3, cutoff=0.6):
        return f"; is it {' or '.join(lower[one] for one in found)}?"
    return f"; it has {', '.join(declared)}"


def _refusal(value: str, rules: Mapping[str, Any]) -> str:
    """Return what the template accepts in place of a value, or nothing if it accepts the value."""
    if UNSENDABLE.search(value):
        return "quotation marks, backslashes and line breaks are not accepted"
    if "AllowedValues" in rules:
        allowed = [str(one) for one in rules["AllowedValues"]]
        return "" if value in allowed else f"accepted are {', '.join(allowed)}"
    if rules["Type"] == "Number":
        return _outside(value, rules)
    if "MaxLength" in rules and len(value) > rules["MaxLength"]:
        return f"at most {rules['MaxLength']} characters are accepted"
    pattern = rules.get("AllowedPattern", "")
    if pattern and not re.fullmatch(pattern, value):
        return f"accepted is what matches {pattern} ({rules['Description']})"
    return ""


def _outside(value: str, rules: Mapping[str, Any]) -> str:
    least, most = rules.get("MinValue"), rules.get("MaxValue")
    if (
        NUMBER.fullmatch(value)
        and (least is None or float(value) >= least)
        and (most is None or float(value) <= most)
    ):
        return ""
    bounds = [f"from {least}"] * (least is not None) + [f"to {most}"] * (most is not None)
    return " ".join(["accepted is a number", *bounds])
