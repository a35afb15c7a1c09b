"""Writes the table of variables in docs/configuration.md: ``python -m`` this module."""

import ast
import inspect
from collections.abc import Iterator
from dataclasses import fields
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

from llm_cache import CacheConfig, CacheMetrics

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"
HEAD = "| variable | meaning | default |\n|---|---|---|\n"


def meanings(config: Any) -> dict[str, str]:
    """Return the text below each field in the source of a dataclass."""
    (definition,) = ast.parse(inspect.getsource(config)).body
    found = {}
    for pair in pairwise(cast("ast.ClassDef", definition).body):
        match pair:
            case (ast.AnnAssign(target=ast.Name(name)), ast.Expr(ast.Constant(str(text)))):
                found[name] = " ".join(text.split())
    return found


def rows(config: Any) -> Iterator[str]:
    for field in fields(config):
        if variable := field.metadata.get("variable"):
            default = f"{field.default:.10g}" if isinstance(field.default, int | float) else ""
            yield f"| `{variable.name}` | {meanings(config)[field.name]} | {default} |\n"


def written() -> str:
    """Return the page with the table that the code has now."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(HEAD)
    after = rest.partition("\n\n")[2]
    return before + HEAD + "".join((*rows(CacheConfig), *rows(CacheMetrics))) + "\n" + after


if __name__ == "__main__":
    PAGE.write_text(written(), encoding="utf-8")
