"""What a cold start imports, from the packages as they are deployed, beside the replaced class.

The replaced class is packaged as ``sam build`` does by default: the files of the wheels, without
bytecode (its dates would be wrong, see layers/package). Neither side can write any, as on Lambda.
"""

import ast
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from layers.package import budgets
from tests.layer.artifacts import HOST, ROOT, RUNTIME, Artifacts, build

RUNS = 7
REPLACED = "the replaced class"
ASK = "ask, what it imports of the layer"
FLUSH = "flush, the function"
BUDGETS = {ASK: budgets.ASK_IMPORT, FLUSH: budgets.FLUSH_IMPORT}
AS_REPLACED = (
    "from upstash_redis import Redis; from langchain_community.cache import UpstashRedisCache"
)
# CPU seconds of the import alone, the least of several: what else the machine does only adds.
MEASURE = "import sys, time; sys.path[:0] = {}; began = time.process_time(); {}; "
MEASURE += "print(time.process_time() - began)"
SETTINGS = {"AWS_DEFAULT_REGION": "eu-west-1", "MODEL_ID": "amazon.it", "MODEL_MAX_TOKENS": "9"}


def install_replaced(folder: Path, *others: str) -> None:
    """Install the replaced class, others, and all they need, as the tests' lock has them."""
    what = ["--group", f"{ROOT / 'pyproject.toml'}:peer", "upstash-redis", *others]
    how = ["--constraint", str(ROOT / "tests/requirements.txt"), "--no-compile-bytecode"]
    uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", sys.executable]
    subprocess.run([*uv, *how, "--target", str(folder), *what], check=True)


def of_the_layer(layer: Path, sources: Path) -> Iterator[str]:
    """Yield the import statements of a function's modules that the layer answers."""
    for source in sorted(sources.glob("*.py")):
        for node in ast.parse(source.read_text(encoding="utf-8")).body:
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            if any((layer / module.partition(".")[0]).exists() for module in modules if module):
                yield ast.unparse(node)


def statements(built: Artifacts, replaced: Path) -> dict[str, tuple[list[Path], str]]:
    """Map each row to the folders on its path, first to last, and what is imported."""
    layer = [built.layer]
    ask = [built.folder / "AskFunction", *layer, RUNTIME]
    flush = [built.folder / "FlushCacheFunction", *layer, RUNTIME]
    of_ask = "; ".join(of_the_layer(built.layer, ROOT / "functions/ask"))
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


def measure(runs: int = RUNS) -> dict[str, float]:
    """Return the least CPU seconds of each row; they take turns, in fresh interpreters."""
    with tempfile.TemporaryDirectory() as folder:
        install_replaced(Path(folder))
        rows = statements(build(HOST), Path(folder))
        times: dict[str, list[float]] = {name: [] for name in rows}
        for _ in range(runs + 1):  # the first round warms the disk
            for name, (path, statement) in rows.items():
                times[name].append(once(path, statement))
    return {name: min(taken[1:]) for name, taken in times.items()}


def main() -> None:
    times = measure()
    print(f"\nCold import as deployed ({HOST}), least of {RUNS} fresh interpreters in turns\n")
    print(f"{'':<36}{'CPU':>10}{'ratio':>8}{'budget':>8}")
    for name, seconds in times.items():
        budget = f"{BUDGETS[name]:>8.2f}" if name in BUDGETS else ""
        print(f"{name:<36}{seconds:>8.3f} s{seconds / times[REPLACED]:>8.3f}{budget}")
