"""Writes the table of variables in docs/configuration.md: ``python -m`` this module."""

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from llm_cache import CacheConfig, CacheMetrics

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"
HEAD = "| variable | meaning | default |\n|---|---|---|\n"


def rows(config: Any) -> Iterator[str]:
    for field in fields(config):
        if variable := field.metadata.get("variable"):
            default = f"{field.default:.10g}" if isinstance(field.default, int | float) else ""
            yield f"| `{variable.name}` | {variable.meaning} | {default} |\n"


def written() -> str:
    """Return the page with the table that the code has now."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(HEAD)
    after = rest.partition("\n\n")[2]
    return before + HEAD + "".join((*rows(CacheConfig), *rows(CacheMetrics))) + "\n" + after


if __name__ == "__main__":
    PAGE.write_text(written(), encoding="utf-8")
