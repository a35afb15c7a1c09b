"""``make bench``: measure this library and other caches, and write docs/ as JSON, tables and plots.

The environment variable ONLY names the parts to run; SHORT=1 takes few samples.
"""

import importlib
import os
import sys
import time

from tests.benchmarks import machine, results
from tests.benchmarks.client_process import measure_in_client
from tests.benchmarks.parts import PARTS, UnknownPart, Where, chosen
from tests.benchmarks.rendering import render
from tests.benchmarks.servers import start_servers
from tests.benchmarks.tables import Table

from local_cloud.checkout.tool_environments import interpreter


def main() -> None:
    """Run the chosen parts; write each as soon as it is measured."""
    try:
        names = chosen(os.environ.get("ONLY", ""))
    except UnknownPart as error:
        sys.exit(str(error))
    short, began = os.environ.get("SHORT", "") not in {"", "0"}, time.monotonic()
    for number, name in enumerate(names, 1):
        report(f"{number} of {len(names)}: {name}, after {time.monotonic() - began:.0f} s")
        started = time.monotonic()
        tables = measure(name, short=short)
        write(name, tables, short=short, seconds=time.monotonic() - started)
    report(f"{len(names)} parts in {time.monotonic() - began:.0f} s: see docs/performance.md")


def report(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


def measure(name: str, *, short: bool) -> list[Table]:
    """Return the tables of a part, measured in the process that the part needs."""
    part = PARTS[name]
    module = f"tests.benchmarks.{part.module}"
    if part.where is Where.HERE:
        tables: list[Table] = importlib.import_module(module).measure(short=short)
        return tables
    python = interpreter("peers") if part.where is Where.PEERS else sys.executable
    with start_servers(short=short) as setup:
        return measure_in_client(module, setup, python)


def write(name: str, tables: list[Table], *, short: bool, seconds: float) -> None:
    """Replace a part in the JSON, its plot, and its text on the pages."""
    found = results.load()
    found["machine"] = machine.described()
    found["versions"] = machine.versions(interpreter("peers"))
    found["parts"][name] = {
        "date": machine.today(),
        "short": short,
        "seconds": seconds,
        "machine": found["machine"],
        "tables": tables,
    }
    results.save(found)
    render(results.load(), [name])


if __name__ == "__main__":
    main()
