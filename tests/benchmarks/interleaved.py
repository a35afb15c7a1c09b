"""Measure operations in interleaved rounds, so that a drifting machine slows all of them alike.

Two clocks: CPU of this process with all its threads, and elapsed time. The servers run in other
processes, so the CPU is the client's alone.
"""

import gc
import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.benchmarks.tables import COUNTED, TIMED, Row, Spread, Table, ratio, spread

WARM_UP = 5
MICRO = 1e6
COUNTS = dict(zip(COUNTED, ("commands", "requests", "bytes_in", "bytes_out"), strict=True))


@dataclass
class Case:
    """One operation: ``run`` is timed, ``prepare`` is not; ``baseline`` names another case.

    One run makes ``operations`` operations; its times are divided by that number.
    """

    name: str
    run: Callable[[str], object]
    baseline: str = ""
    prepare: Callable[[str], object] = lambda _: None
    operations: int = 1
    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def measure(self, key: str) -> None:
        self.prepare(key)
        cpu, wall = time.process_time(), time.perf_counter()
        self.run(key)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        self.cpu.append(cpu / self.operations)
        self.wall.append(wall / self.operations)

    def count(self, meter: str) -> None:
        key = f"counted {self.name}"
        self.prepare(key)
        read_meter(meter, "DELETE")
        self.run(key)
        read = read_meter(meter)
        if read["requests"]:  # a cache over TCP does not use the endpoint
            self.counts = {name: read[source] for name, source in COUNTS.items()}


def read_meter(meter: str, method: str = "GET") -> dict[str, int]:
    """Read (GET) or reset (DELETE) the meter of an endpoint in another process."""
    with urllib.request.urlopen(urllib.request.Request(meter, method=method)) as response:
        read: dict[str, int] = json.load(response)
    return read


@contextmanager
def without_gc() -> Iterator[None]:
    """Turn off garbage collection, as timeit does: one operation would pay for all of them."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def interleave(
    cases: list[Case], rounds: int, meter: str = "", *, warm_up: int = WARM_UP
) -> list[Case]:
    """Run every case once a round; the runs for warm-up and counting are not timed."""
    for case in cases:
        for number in range(warm_up):
            case.prepare(f"warm {case.name} {number}")
            case.run(f"warm {case.name} {number}")
        if meter:
            case.count(meter)
    with without_gc():
        for number in range(rounds):
            for case in cases:
                case.measure(f"{case.name} {number}")
    return cases


def table(title: str, cases: list[Case], *, plot: str = "cpu", note: str = "") -> Table:
    """Return the table of measured cases, with columns for their counts, if any."""
    counted = COUNTED if any(case.counts for case in cases) else {}
    measured = {case.name: (spread(case.cpu, MICRO), spread(case.wall, MICRO)) for case in cases}
    rows = [_row(case, measured) for case in cases]
    return {"title": title, "columns": TIMED | counted, "rows": rows, "plot": plot, "note": note}


def _row(case: Case, measured: dict[str, tuple[Spread, Spread]]) -> Row:
    cpu, wall = measured[case.name]
    row: Row = {"name": case.name, "cpu": cpu, "wall": wall, **case.counts}
    if case.baseline:
        of_cpu, of_wall = measured[case.baseline]
        row |= {"cpu_ratio": ratio(cpu, of_cpu), "wall_ratio": ratio(wall, of_wall)}
        row["of"] = case.baseline
    return row
