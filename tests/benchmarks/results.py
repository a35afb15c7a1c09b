"""Read and write docs/performance.json, the results of each part."""

import json
from pathlib import Path
from typing import Any

from tests.benchmarks.parts import PARTS

DOCS = Path(__file__).parents[2] / "docs"
FILE = DOCS / "performance.json"
Results = dict[str, Any]


def load(file: Path = FILE) -> Results:
    """Return the results so far; empty results if there is no file."""
    if not file.exists():
        return {"machine": {}, "versions": {}, "parts": {}}
    results: Results = json.loads(file.read_text(encoding="utf-8"))
    return results


def save(results: Results, file: Path = FILE) -> None:
    """Write the results: parts in their order, numbers with four digits."""
    parts = {name: results["parts"][name] for name in PARTS if name in results["parts"]}
    text = json.dumps(_rounded(results | {"parts": parts}), indent=1, ensure_ascii=False)
    file.write_text(text + "\n", encoding="utf-8")


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value
