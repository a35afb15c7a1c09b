"""Hits per second of one and of two client processes."""

import multiprocessing
import time
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from typing import Any

from tests.benchmarks.answers import ANSWER, TEXT
from tests.benchmarks.client_process import Setup
from tests.benchmarks.replaced_class import Replaced
from tests.benchmarks.tables import Row, Table, spread
from upstash_redis import Redis

from llm_cache import UpstashRedisCache

SECONDS = 3.0
ROUNDS = 5
COLUMNS = {
    "name": "hits of 500 bytes",
    "rate": "hits a second",
    "cpu": "CPU of one hit, µs",
    "rate_ratio": "rate, ratio",
    "of": "ratio to",
}
Make = Callable[[Redis], Callable[[], object]]
Measured = dict[tuple[str, int], list[tuple[float, float]]]


def measure(setup: Setup) -> list[Table]:
    with Redis(setup.url, setup.token) as redis:
        redis.set("hit", TEXT)
        for cache in (UpstashRedisCache(redis, namespace="bench"), Replaced(redis, ttl=600)):
            cache.update("hit", "model", ANSWER)
    runs = [(name, number) for number in (1, 2) for name in CLIENTS]
    measured: Measured = {run: [] for run in runs}
    for _ in range(1 if setup.short else ROUNDS):
        for name, number in runs:
            measured[name, number].append(run_processes(setup, CLIENTS[name], number))
    return [{"title": "Throughput", "columns": COLUMNS, "rows": _rows(measured), "plot": "rate"}]


def _rows(measured: Measured) -> list[Row]:
    rates = {key: spread([rate for rate, _ in samples]) for key, samples in measured.items()}
    rows: list[Row] = []
    for (name, number), samples in measured.items():
        cpu = spread([cpu for _, cpu in samples], 1e6)
        row: Row = {"name": _named(name, number), "rate": rates[name, number], "cpu": cpu}
        if name != "bare GET":
            of = rates["bare GET", number]["median"]
            row |= {"rate_ratio": rates[name, number]["median"] / of}
            row["of"] = _named("bare GET", number)
        rows.append(row)
    return rows


def _named(name: str, number: int) -> str:
    return f"{name}, {number} process{'es' * (number > 1)}"


def bare(redis: Redis) -> Callable[[], object]:
    return lambda: redis.get("hit")


def ours(redis: Redis) -> Callable[[], object]:
    cache = UpstashRedisCache(redis, namespace="bench")
    return lambda: cache.lookup("hit", "model")


def theirs(redis: Redis) -> Callable[[], object]:
    cache = Replaced(redis, ttl=600)
    return lambda: cache.lookup("hit", "model")


CLIENTS: dict[str, Make] = {"bare GET": bare, "this library": ours, "replaced class": theirs}


def run_processes(setup: Setup, make: Make, number: int) -> tuple[float, float]:
    """Return the hits per second of all processes, and the CPU seconds of one hit."""
    fork = multiprocessing.get_context("fork")
    start, results = fork.Barrier(number), fork.SimpleQueue()
    seconds = SECONDS / 3 if setup.short else SECONDS
    args = (setup, make, start, results, seconds)
    processes = [fork.Process(target=hit_for, args=args) for _ in range(number)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    hits, cpu = map(sum, zip(*(results.get() for _ in processes), strict=True))
    return hits / seconds, cpu / hits


def hit_for(setup: Setup, make: Make, start: Barrier, results: Any, seconds: float) -> None:
    """Hit for some seconds, and report the number of hits and their CPU seconds."""
    with Redis(setup.url, setup.token) as redis:
        hit = make(redis)
        for _ in range(20):
            assert hit()
        start.wait()
        count, cpu, until = 0, time.process_time(), time.monotonic() + seconds
        while time.monotonic() < until:
            hit()
            count += 1
        results.put((count, time.process_time() - cpu))
