"""A part that is measured in a client process of its own, beside the processes that serve it.

``python -m tests.benchmarks.apart MODULE`` reads where to go from its standard input, calls the
module's ``measure`` and prints the tables.
"""

import contextlib
import importlib
import json
import logging
import os
import subprocess
import sys
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.benchmarks.tables import Table

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class At:
    """Where a client finds the endpoint and the server, and whether the run is a short one."""

    url: str
    token: str
    meter: str
    port: int
    password: str
    short: bool

    def rounds(self, full: int) -> int:
        """Return a tenth of ``full`` in a short run, but at least three."""
        return max(3, full // 10) if self.short else full


def measured_apart(module: str, at: At, python: str) -> list[Table]:
    """Run a module's ``measure`` in a new process of the interpreter ``python``."""
    # LiteLLM fetches its list of prices when it is imported, unless told to take its own.
    told = {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    done = subprocess.run(
        [python, "-W", "ignore", "-m", __name__, module],
        input=json.dumps(asdict(at)),
        env=os.environ | told,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    tables: list[Table] = json.loads(done.stdout)
    return tables


def main() -> None:
    """Measure in this process; whatever the measured code prints goes to standard error."""
    logging.disable(logging.WARNING)  # what the faults provoke
    at = At(**json.load(sys.stdin))
    with contextlib.redirect_stdout(sys.stderr):
        module = importlib.import_module(sys.argv[1])
        # LangChain filters its own warnings anew when it is imported.
        warnings.simplefilter("ignore")
        tables = module.measure(at)
    json.dump(tables, sys.stdout)


if __name__ == "__main__":
    main()
