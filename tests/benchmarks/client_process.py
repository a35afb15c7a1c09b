"""Measure a part in its own client process; the servers run in other processes.

``python -m tests.benchmarks.client_process MODULE`` reads a ``Setup`` from standard input, calls
the module's ``measure``, and prints the tables.
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
class Setup:
    """The addresses of the endpoint and the server, and whether the run is short."""

    url: str
    token: str
    meter: str
    port: int
    password: str
    short: bool

    def rounds(self, full: int) -> int:
        """Return a tenth of ``full`` in a short run, but at least three."""
        return max(3, full // 10) if self.short else full


def measure_in_client(module: str, setup: Setup, python: str) -> list[Table]:
    """Run a module's ``measure`` in a new process of the interpreter ``python``."""
    # By default, LiteLLM downloads its price list on import.
    extra = {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    done = subprocess.run(
        [python, "-W", "ignore", "-m", __name__, module],
        input=json.dumps(asdict(setup)),
        env=os.environ | extra,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    tables: list[Table] = json.loads(done.stdout)
    return tables


def main() -> None:
    """Measure in this process; output of the measured code goes to standard error."""
    logging.disable(logging.WARNING)  # faults log warnings
    setup = Setup(**json.load(sys.stdin))
    with contextlib.redirect_stdout(sys.stderr):
        module = importlib.import_module(sys.argv[1])
        warnings.simplefilter("ignore")  # importing LangChain resets the filters
        tables = module.measure(setup)
    json.dump(tables, sys.stdout)


if __name__ == "__main__":
    main()
