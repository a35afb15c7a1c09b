"""Parse and check template parameters, before anything is built."""

import difflib
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from llm_cache._stack.command_failure import CommandFailure
from local_cloud.checkout.template_parameters import Declared

NUMBER = re.compile(r"-?\d+(\.\d+)?")
UNSENDABLE = re.compile(r"[\"\\\n]")  # sam's quoting cannot express these


def parse(source: str, text: str, declared: Declared) -> dict[str, str]:
    """Return the pairs of `Name=Value …`, which are quoted as in a shell.

    Raises CommandFailure, which names `source` and lists every error.
    """
    try:
        pairs = [pair.partition("=") for pair in shlex.split(text)]
    except ValueError as error:
        raise CommandFailure(f"{source}: {error} in {text!r}; quote as in {_EXAMPLE}") from None
    if errors := [f"  {error}" for pair in pairs for error in _errors(*pair, declared)]:
        raise CommandFailure("\n".join([f"{source} is not accepted:", *errors]))
    return {name: value for name, _, value in pairs}


_EXAMPLE = """PARAMETERS="CacheTtl=60 FlushSchedule='rate(12 hours)'\""""


def _errors(name: str, equals: str, value: str, declared: Declared) -> Iterator[str]:
    if not equals:
        yield f"{name!r} is not Name=Value; quote a value with spaces, as in {_EXAMPLE}"
    elif name not in declared:
        yield f"{name}={value}: the template has no parameter {name}{_similar(name, declared)}"
    elif error := _value_error(value, declared[name]):
        yield f"{name}={value}: {error}"


def _similar(name: str, declared: Mapping[str, Any]) -> str:
    lower = {known.lower(): known for known in declared}
    if found := difflib.get_close_matches(name.lower(), lower, n=3, cutoff=0.6):
        return f"; did you mean {' or '.join(lower[name] for name in found)}?"
    return f"; use one of {', '.join(declared)}"


def _value_error(value: str, rules: Mapping[str, Any]) -> str:
    """Describe the values that the template accepts; return '' if it accepts this one."""
    if UNSENDABLE.search(value):
        return "quotation marks, backslashes and line breaks are not accepted"
    if "AllowedValues" in rules:
        allowed = [str(one) for one in rules["AllowedValues"]]
        return "" if value in allowed else f"use one of {', '.join(allowed)}"
    if rules["Type"] == "Number":
        return _number_error(value, rules)
    if "MaxLength" in rules and len(value) > rules["MaxLength"]:
        return f"use at most {rules['MaxLength']} characters"
    pattern = rules.get("AllowedPattern", "")
    if pattern and not re.fullmatch(pattern, value):
        return f"use a value that matches {pattern} ({rules['Description']})"
    return ""


def _number_error(value: str, rules: Mapping[str, Any]) -> str:
    least, most = rules.get("MinValue"), rules.get("MaxValue")
    if (
        NUMBER.fullmatch(value)
        and (least is None or float(value) >= least)
        and (most is None or float(value) <= most)
    ):
        return ""
    bounds = [f"from {least}"] * (least is not None) + [f"to {most}"] * (most is not None)
    return " ".join(["use a number", *bounds])
