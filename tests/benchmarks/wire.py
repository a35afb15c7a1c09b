"""What a hit, a miss and a store cost: time, commands, requests, bytes.

Everything runs against one endpoint in a process of its own. The operations take turns, so that a
machine whose speed drifts slows all of them alike: trust the ratios.
"""

import gc
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field

from langchain_core.outputs import Generation
from tests.benchmarks.serving import served
from upstash_redis import Redis

from llm_cache import UpstashRedisCache
from local_cloud.upstash import UpstashEndpoint

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from langchain_community import cache as community

Replaced = community.UpstashRedisCache

ROUNDS = 500
TEXT = "The capital of France is Paris. " * 16
ANSWER = [Generation(text=TEXT)]


@dataclass
class Case:
    """One operation: ``prepare`` is not timed, ``run`` is; ``beside`` names what it is held to."""

    name: str
    run: Callable[[str], object]
    beside: str = ""
    prepare: Callable[[str], object] = lambda _: None
    times: list[float] = field(default_factory=list)
    cost: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.times)


def cases(redis: Redis) -> list[Case]:
    cache, replaced = UpstashRedisCache(redis, ttl=600, namespace="bench"), Replaced(redis, ttl=600)
    cache.update("hit", "model", ANSWER)
    replaced.update("hit", "model", ANSWER)
    redis.set("hit", TEXT)
    return [
        Case("bare GET", lambda _: redis.get("hit")),
        Case("bare SET … EX", lambda key: redis.set(key, TEXT, ex=600)),
        Case("hit", lambda _: cache.lookup("hit", "model"), "bare GET"),
        Case("hit, replaced class", lambda _: replaced.lookup("hit", "model"), "bare GET"),
        Case("miss", lambda key: cache.lookup(key, "model"), "miss, replaced class"),
        Case("miss, replaced class", lambda key: replaced.lookup(key, "model"), "bare GET"),
        Case(
            "store after a miss",
            lambda key: cache.update(key, "model", ANSWER),
            "store, replaced class",
            prepare=lambda key: cache.lookup(key, "model"),
        ),
        Case(
            "store alone", lambda key: cache.update(key, "model", ANSWER), "store, replaced class"
        ),
        Case(
            "store, replaced class",
            lambda key: replaced.update(key, "model", ANSWER),
            "bare SET … EX",
        ),
    ]


def measure(
    upstash: UpstashEndpoint, cases: Callable[[Redis], list[Case]], rounds: int
) -> list[Case]:
    with Redis(upstash.url, upstash.token) as redis:
        measured = cases(redis)
        for case in measured:  # warm connections, and what one run costs
            case.prepare(f"warm {case.name}")
            upstash.meter.reset()
            case.run(f"warm {case.name}")
            reading = upstash.meter.read()
            sizes = f"{reading.bytes_in:>6} {reading.bytes_out:>6}"
            case.cost = f"{reading.commands:>4} {reading.requests:>4} {sizes}"
        # Every round allocates alike, so that one and the same operation would pay for collecting
        # what all of them leave: off, as timeit has it.
        gc.disable()
        for number in range(rounds):
            for case in measured:
                key = f"{case.name} {number}"
                case.prepare(key)
                began = time.perf_counter()
                case.run(key)
                case.times.append(time.perf_counter() - began)
        gc.enable()
    return measured


def main() -> None:
    with served() as (_, upstash):
        measured = measure(upstash, cases, ROUNDS)
    print(f"One operation, median of {ROUNDS} rounds in turns; cmds, reqs and bytes of one run\n")
    show(measured)


def show(measured: list[Case]) -> None:
    by_name = {case.name: case for case in measured}
    print(f"{'':<24}{'ms':>7}  cmds reqs   sent   rcvd   ratio")
    for case in measured:
        ratio = case.median / by_name[case.beside].median if case.beside else 1
        beside = f"{ratio:>7.2f} of {case.beside}" if case.beside else ""
        print(f"{case.name:<24}{case.median * 1e3:>7.3f}  {case.cost} {beside}")
