"""What a cold start imports: seconds inside a fresh interpreter, with bytecode and without."""

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

RUNS = 7
FUNCTIONS = Path(__file__).parents[2] / "functions"
REPLACED = "the replaced class"
STATEMENTS = {
    "flush: clear and reclaim": "from llm_cache import CacheNamespace",
    "the cache": "from llm_cache import UpstashRedisCache",
    REPLACED: "import upstash_redis; from langchain_community.cache import UpstashRedisCache",
    "flush, the function": "import flush_cache",
    "ask, the function": "import ask",
}
MEASURE = "import time; began = time.perf_counter(); {}; print(time.perf_counter() - began)"


def once(statement: str, environment: dict[str, str]) -> float:
    command = [sys.executable, "-W", "ignore", "-c", MEASURE.format(statement)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(run.stdout)


def measure(extra: dict[str, str], runs: int) -> dict[str, float]:
    """Return the median seconds of each statement; they take turns."""
    path = os.pathsep.join(str(FUNCTIONS / name) for name in ("ask", "flush_cache"))
    environment = {**os.environ, "PYTHONPATH": path, **extra}
    times: dict[str, list[float]] = {name: [] for name in STATEMENTS}
    for _ in range(runs + 1):  # the first round warms the disk, and writes the bytecode
        for name, statement in STATEMENTS.items():
            times[name].append(once(statement, environment))
    return {name: statistics.median(taken[1:]) for name, taken in times.items()}


def main() -> None:
    with tempfile.TemporaryDirectory() as empty:
        compiled = measure({}, RUNS)
        # An empty cache folder hides every .pyc, as the dates of 1980 in a zip by SAM do.
        hidden = {"PYTHONPYCACHEPREFIX": empty, "PYTHONDONTWRITEBYTECODE": "1"}
        source = measure(hidden, max(2, RUNS // 2))
    print(f"\nCold import, median of {RUNS} fresh interpreters in turns\n")
    print(f"{'':<28}{'bytecode':>10}{'ratio':>7}{'none':>10}{'ratio':>7}")
    for name in STATEMENTS:
        ratios = [(taken[name], taken[name] / taken[REPLACED]) for taken in (compiled, source)]
        cells = [f"{seconds:>8.3f} s{ratio:>7.2f}" for seconds, ratio in ratios]
        print(f"{name:<28}{''.join(cells)}")
