"""``make bench``: this library beside other caches, written to docs/ as JSON, tables and plots.

ONLY names the parts to run, and SHORT=1 takes few samples; both come from the environment.
"""

import importlib
import os
import sys
import time

from tests.benchmarks import machine, results
from tests.benchmarks.apart import measured_apart
from tests.benchmarks.parts import PARTS, UnknownPart, Where, chosen
from tests.benchmarks.rendering import render
from tests.benchmarks.serving import serving
from tests.benchmarks.tables import Table

from local_cloud.tools import interpreter


def main() -> None:
    """Run the chosen parts; write each as soon as it is measured."""
    try:
        names = chosen(os.environ.get("ONLY", ""))
    except UnknownPart as error:
        sys.exit(str(error))
    short, began = os.environ.get("SHORT", "") not in {"", "0"}, time.monotonic()
    for place, name in enumerate(names, 1):
        say(f"{place} of {len(names)}: {name}, after {time.monotonic() - began:.0f} s")
        started = time.monotonic()
        tables = measured(name, short=short)
        write(name, tables, short=short, seconds=time.monotonic() - started)
    say(f"{len(names)} parts in {time.monotonic() - began:.0f} s: see docs/performance.md")


def say(text: str) -> None:
    """Report progress on standard error."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def measured(name: str, *, short: bool) -> list[Table]:
    """Return the tables of a part, from the process that measures it."""
    part = PARTS[name]
    module = f"tests.benchmarks.{part.module}"
    if part.where is Where.HERE:
        tables: list[Table] = importlib.import_module(module).measure(short=short)
        return tables
    python = interpreter("peers") if part.where is Where.PEERS else sys.executable
    with serving(short=short) as at:
        return measured_apart(module, at, python)


def write(name: str, tables: list[Table], *, short: bool, seconds: float) -> None:
    """Replace a part in the JSON, its plot, and the text of the pages."""
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
