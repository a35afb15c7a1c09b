"""The CPU of a cold start's imports from the deployed packages; no bytecode is written."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from layers.package import budgets
from tests.benchmarks.cold_environment import replaced_package
from tests.benchmarks.tables import Row, Table, spread
from tests.layer.artifacts import HOST, ROOT, RUNTIME, Artifacts, build

RUNS = 8
REPLACED = "the replaced class"
ASK = "ask, what it imports of the layer"
FLUSH = "flush, the function"
BUDGETS = {ASK: budgets.ASK_IMPORT, FLUSH: budgets.FLUSH_IMPORT}
COLUMNS = {
    "name": "import",
    "cpu": "CPU, ms",
    "least": "least CPU, ms",
    "cpu_ratio": "CPU, ratio",
    "of": "ratio to",
    "budget": "budget",
}
AS_REPLACED = (
    "from upstash_redis import Redis; from langchain_community.cache import UpstashRedisCache"
)
# CPU seconds of the import alone.
MEASURE = "import sys, time; sys.path[:0] = {}; began = time.process_time(); {}; "
MEASURE += "print(time.process_time() - began)"
SETTINGS = {"AWS_DEFAULT_REGION": "eu-west-1", "MODEL_ID": "amazon.it", "MODEL_MAX_TOKENS": "9"}


def layer_imports(layer: Path, sources: Path) -> Iterator[str]:
    """Yield the import statements of a function's modules that import from the layer."""
    for source in sorted(sources.glob("*.py")):
        for node in ast.parse(source.read_text(encoding="utf-8")).body:
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            if any((layer / module.partition(".")[0]).exists() for module in modules if module):
                yield ast.unparse(node)


def statements(built: Artifacts, replaced: Path) -> dict[str, tuple[list[Path], str]]:
    """Map each row to the folders on its path and its import statement."""
    layer = [built.layer]
    ask = [built.folder / "AskFunction", *layer, RUNTIME]
    flush = [built.folder / "FlushCacheFunction", *layer, RUNTIME]
    of_ask = "; ".join(layer_imports(built.layer, ROOT / "functions/ask"))
    return {
        REPLACED: ([replaced], AS_REPLACED),
        "the cache": (layer, "from llm_cache import UpstashRedisCache"),
        "clear and reclaim": (layer, "from llm_cache import CacheNamespace"),
        ASK: (layer, of_ask),
        "ask, the function, for a hit": (ask, "import ask"),
        "ask, the function with its model": (ask, "import ask, prompt"),
        FLUSH: (flush, "import flush_cache"),
    }


def once(path: list[Path], statement: str) -> float:
    script = MEASURE.format([str(folder) for folder in path], statement)
    command = [sys.executable, "-I", "-S", "-B", "-W", "ignore", "-c", script]
    run = subprocess.run(command, env=SETTINGS, capture_output=True, text=True, check=True)
    return float(run.stdout)


def samples(runs: int = RUNS) -> dict[str, list[float]]:
    """Return the CPU seconds of each row, in interleaved rounds of new interpreters."""
    rows = statements(build(HOST), replaced_package())
    times: dict[str, list[float]] = {name: [] for name in rows}
    for _ in range(runs):
        for name, (path, statement) in rows.items():
            times[name].append(once(path, statement))
    return times


def ratios(taken: dict[str, list[float]]) -> dict[str, float]:
    """Return the ratio of each row's least time to the replaced class's; load only adds time."""
    return {name: min(times) / min(taken[REPLACED]) for name, times in taken.items()}


def measure(*, short: bool) -> list[Table]:
    taken = samples(1 if short else RUNS)
    rows: list[Row] = [
        {"name": name, "cpu": spread(times, 1000), "least": min(times) * 1000}
        | ({} if name == REPLACED else {"cpu_ratio": ratios(taken)[name], "of": REPLACED})
        | ({"budget": BUDGETS[name]} if name in BUDGETS else {})
        for name, times in taken.items()
    ]
    note = f"{HOST}, in new interpreters. The ratio compares the least CPU of each."
    return [{"title": "Imports", "columns": COLUMNS, "rows": rows, "plot": "least", "note": note}]
