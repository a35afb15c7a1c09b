"""``llm-cache explain``."""

from __future__ import annotations

import json as json_module
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from llm_cache._cli import options
from llm_cache._cli.failures import ExitCode, failed
from llm_cache._cli.formats import printable
from llm_cache._cli.output import Output
from llm_cache._errors import InvalidSettings
from llm_cache._inspect.compared_call import NotComparable
from llm_cache._inspect.key_difference import difference

STDIN = "-"

First = Annotated[
    str, typer.Argument(metavar="A.json", help="A body of POST /ask, or cache.explain(…) as JSON.")
]
Second = Annotated[
    str, typer.Argument(metavar="B.json", help="The other one; - for a file is standard input.")
]
Values = Annotated[
    bool, typer.Option("--values", help="Show the texts that differ, also those of prompts.")
]


def explain(
    first: First, second: Second, *, values: Values = False, json: options.Json = False
) -> int:
    """Tell in which part the keys of two calls differ: "I asked the same, why no hit?".

    No database is read. Exit code 0 if the keys are equal, 1 if they differ.
    """
    if first == second == STDIN:
        raise InvalidSettings("B.json", second, "a file, because A.json is standard input")
    try:
        result = difference(_read(first), _read(second), values=values)
    except NotComparable as error:
        return failed(printable(str(error)), ExitCode.USAGE)
    Output(json).show(result.as_dict(), printable("\n".join(result.lines())))
    return ExitCode.DONE if result.same_key else ExitCode.NO


def _read(name: str) -> Any:
    """Return the JSON value of a file; raise ``InvalidSettings``."""
    try:
        text = sys.stdin.read() if name == STDIN else Path(name).read_text(encoding="utf-8")
        return json_module.loads(text)
    except OSError as error:
        why = error.strerror or "cannot be read"
    except (ValueError, RecursionError) as error:
        at = f" at line {error.lineno}" if isinstance(error, json_module.JSONDecodeError) else ""
        why = f"not JSON{at}"
    raise InvalidSettings("file", name, f"a file with one JSON object ({why})")
