"""The tables of a part, as docs/performance.json holds them."""

import statistics
from collections.abc import Sequence
from typing import Any, NotRequired, TypedDict

Spread = dict[str, float]
Row = dict[str, Any]


class Table(TypedDict):
    """One table of the page: ``columns`` maps a key of the rows to its heading."""

    title: str
    columns: dict[str, str]
    rows: list[Row]
    plot: NotRequired[str]
    """The column of the part's plot."""
    note: NotRequired[str]


TIMED = {
    "name": "operation",
    "cpu": "CPU, µs",
    "wall": "time, µs",
    "cpu_ratio": "CPU, ratio",
    "wall_ratio": "time, ratio",
    "of": "ratio to",
}
COLD = {
    "cpu": "CPU to the reply, ms",
    "wall": "time to the reply, ms",
    "peak": "peak memory, MB",
    "cpu_ratio": "CPU, ratio",
    "wall_ratio": "time, ratio",
    "of": "ratio to",
}
COUNTED = {
    "commands": "commands",
    "requests": "requests",
    "sent": "bytes sent",
    "received": "bytes received",
}


def spread(samples: Sequence[float], scale: float = 1.0) -> Spread:
    """Return the median and the quartiles of samples, multiplied by ``scale``."""
    scaled = [sample * scale for sample in samples]
    if len(scaled) == 1:
        scaled *= 2
    low, middle, high = statistics.quantiles(scaled, n=4, method="inclusive")
    return {"q1": low, "median": middle, "q3": high}


def ratio(one: Spread, other: Spread) -> float:
    return one["median"] / other["median"]
