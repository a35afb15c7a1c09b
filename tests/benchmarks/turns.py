"""Operations that take turns: a machine whose speed drifts slows all of them alike.

Two clocks: the CPU of this process, all threads, and the time that passes. The server and the
endpoint run in processes of their own, so the CPU is the client's alone.
"""

import gc
import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.benchmarks.tables import COUNTED, TIMED, Row, Spread, Table, ratio, spread

WARM = 5
MICRO = 1e6
COUNTS = dict(zip(COUNTED, ("commands", "requests", "bytes_in", "bytes_out"), strict=True))


@dataclass
class Case:
    """One operation: ``prepare`` is not timed, ``run`` is; ``beside`` names what it is held to.

    ``many``: the operations that one run makes, so that its times are divided.
    """

    name: str
    run: Callable[[str], object]
    beside: str = ""
    prepare: Callable[[str], object] = lambda _: None
    many: int = 1
    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def take(self, key: str) -> None:
        """Run once and note both times."""
        self.prepare(key)
        cpu, wall = time.process_time(), time.perf_counter()
        self.run(key)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        self.cpu.append(cpu / self.many)
        self.wall.append(wall / self.many)

    def count(self, meter: str) -> None:
        """Run once and note what passed through the endpoint, by the meter at this address."""
        key = f"counted {self.name}"
        self.prepare(key)
        asked(meter, "DELETE")
        self.run(key)
        read = asked(meter, "GET")
        if read["requests"]:  # a peer that speaks to Redis itself passes by the endpoint
            self.counts = {name: read[of] for name, of in COUNTS.items()}


def asked(meter: str, method: str) -> dict[str, int]:
    """Read (GET) or reset (DELETE) the meter of an endpoint in another process."""
    with urllib.request.urlopen(urllib.request.Request(meter, method=method)) as response:
        read: dict[str, int] = json.load(response)
    return read


@contextmanager
def uncollected() -> Iterator[None]:
    """Turn off garbage collection, as timeit does.

    Every round allocates alike, so that one and the same operation would pay for collecting what
    all of them leave.
    """
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def in_turns(cases: list[Case], rounds: int, meter: str = "", *, warm: int = WARM) -> list[Case]:
    """Run each case ``rounds`` times, one after the other; warm-up and counting are not timed."""
    for case in cases:
        for number in range(warm):
            case.prepare(f"warm {case.name} {number}")
            case.run(f"warm {case.name} {number}")
        if meter:
            case.count(meter)
    with uncollected():
        for number in range(rounds):
            for case in cases:
                case.take(f"{case.name} {number}")
    return cases


def table(title: str, cases: list[Case], *, plot: str = "cpu", note: str = "") -> Table:
    """Return the table of measured cases; those with counts get columns for them."""
    counted = COUNTED if any(case.counts for case in cases) else {}
    measured = {case.name: (spread(case.cpu, MICRO), spread(case.wall, MICRO)) for case in cases}
    rows = [_row(case, measured) for case in cases]
    return {"title": title, "columns": TIMED | counted, "rows": rows, "plot": plot, "note": note}


def _row(case: Case, measured: dict[str, tuple[Spread, Spread]]) -> Row:
    cpu, wall = measured[case.name]
    row: Row = {"name": case.name, "cpu": cpu, "wall": wall, **case.counts}
    if case.beside:
        of_cpu, of_wall = measured[case.beside]
        row |= {"cpu_ratio": ratio(cpu, of_cpu), "wall_ratio": ratio(wall, of_wall)}
        row["of"] = case.beside
    return row
