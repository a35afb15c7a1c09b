"""The cost of a lookup while Upstash hangs or refuses, and while the circuit breaker is open."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.benchmarks.answers import ANSWER
from tests.benchmarks.client_process import Setup
from tests.benchmarks.interleaved import Case, interleave, table
from tests.benchmarks.replaced_class import Replaced
from tests.benchmarks.tables import Row, Table
from upstash_redis import Redis

from llm_cache import Breaker, Circuit, UpstashRedisCache

ROUNDS, BREAKING = 10, 8
GIVE_UP = 5.0  # seconds
HEALTHY = "healthy, a hit"
NOTE = "A lookup that meets a fault takes at most the timeout, here the default. The circuit \
breaker opens after five failures in a row."


def measure(setup: Setup) -> list[Table]:
    with hanging() as silent, Redis(setup.url, setup.token) as redis:
        refused = f"http://127.0.0.1:{closed_port()}"
        cases = [
            healthy(redis),
            without_breaker("Upstash hangs", silent),
            without_breaker("Upstash refuses", refused),
            with_open_breaker("breaker open, Upstash hangs", silent),
            with_open_breaker("breaker open, Upstash refuses", refused),
        ]
        interleave(cases, 2 if setup.short else ROUNDS, warm_up=1)
        return [
            table("A lookup during a fault", cases, plot="wall", note=NOTE),
            replaced_class(silent, refused),
        ]


@contextmanager
def hanging() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0), backlog=1000) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def healthy(redis: Redis) -> Case:
    cache = UpstashRedisCache(redis, namespace="bench")
    cache.update("hit", "model", ANSWER)
    return Case(HEALTHY, lambda _: cache.lookup("hit", "model"))


def without_breaker(name: str, url: str) -> Case:
    """Return a lookup that always meets the fault."""
    cache = UpstashRedisCache(
        Redis(url, "token"), namespace="bench", breaker=Breaker(failures=1_000_000)
    )
    return Case(name, lambda key: cache.lookup(key, "model"), HEALTHY)


def with_open_breaker(name: str, url: str) -> Case:
    cache = UpstashRedisCache(Redis(url, "token"), namespace="bench")
    for number in range(BREAKING):
        cache.lookup(str(number), "model")
    assert cache.circuit is not Circuit.CLOSED
    return Case(name, lambda key: cache.lookup(key, "model"), HEALTHY)


def replaced_class(silent: str, refused: str) -> Table:
    """Return the outcome of one lookup of the replaced class during each fault."""
    columns = {"name": "fault", "outcome": "outcome", "seconds": "seconds"}
    rows = [
        outcome("Upstash hangs", lambda: Replaced(Redis(silent, "token")).lookup("p", "model")),
        outcome("Upstash refuses", lambda: Replaced(Redis(refused, "token")).lookup("p", "model")),
    ]
    return {"title": "The replaced class during these faults", "columns": columns, "rows": rows}


def outcome(name: str, lookup: Callable[[], object]) -> Row:
    """Return how a lookup ended, or that it still waits after GIVE_UP seconds."""
    result, seconds = f"still waiting after {GIVE_UP:g} s", GIVE_UP

    def run() -> None:
        nonlocal result, seconds
        began = time.perf_counter()
        try:
            lookup()
            ended = "a miss"
        except Exception as error:  # noqa: BLE001  the row names it
            ended = f"raises {type(error).__name__}"
        result, seconds = ended, time.perf_counter() - began

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(GIVE_UP)
    return {"name": name, "outcome": result, "seconds": seconds}
