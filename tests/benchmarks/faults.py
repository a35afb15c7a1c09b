"""What a lookup costs while Upstash hangs, refuses connections, or the circuit breaker is open."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.benchmarks.answers import ANSWER
from tests.benchmarks.apart import At
from tests.benchmarks.replaced import Replaced
from tests.benchmarks.tables import Row, Table
from tests.benchmarks.turns import Case, in_turns, table
from upstash_redis import Redis

from llm_cache import Breaker, Circuit, UpstashRedisCache

ROUNDS, BREAKING = 10, 8
GIVEN_UP = 5.0  # seconds after which the replaced class is left waiting
HEALTHY = "healthy, a hit"
NOTE = "A fault costs its lookup the timeout, and no more; the cache has its default timeout. The \
breaker opens after five failures in a row."


def measure(at: At) -> list[Table]:
    """Measure lookups into each fault, with the breaker left out and with the breaker open."""
    with hanging() as silent, Redis(at.url, at.token) as redis:
        refused = f"http://127.0.0.1:{closed_port()}"
        cases = [
            healthy(redis),
            unbroken("Upstash hangs", silent),
            unbroken("Upstash refuses", refused),
            opened("breaker open, Upstash hangs", silent),
            opened("breaker open, Upstash refuses", refused),
        ]
        in_turns(cases, 2 if at.short else ROUNDS, warm=1)
        return [
            table("A lookup into a fault", cases, plot="wall", note=NOTE),
            both(silent, refused),
        ]


@contextmanager
def hanging() -> Iterator[str]:
    """Accept connections and never answer."""
    with socket.create_server(("127.0.0.1", 0), backlog=1000) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def closed_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def healthy(redis: Redis) -> Case:
    """Return a hit, to compare with."""
    cache = UpstashRedisCache(redis, namespace="bench")
    cache.update("hit", "model", ANSWER)
    return Case(HEALTHY, lambda _: cache.lookup("hit", "model"))


def unbroken(name: str, url: str) -> Case:
    """Return a lookup by a cache without a breaker, so that each one meets the fault."""
    cache = UpstashRedisCache(
        Redis(url, "token"), namespace="bench", breaker=Breaker(failures=1_000_000)
    )
    return Case(name, lambda key: cache.lookup(key, "model"), HEALTHY)


def opened(name: str, url: str) -> Case:
    """Return a lookup by a cache whose breaker has opened."""
    cache = UpstashRedisCache(Redis(url, "token"), namespace="bench")
    for number in range(BREAKING):
        cache.lookup(str(number), "model")
    assert cache.circuit is not Circuit.CLOSED
    return Case(name, lambda key: cache.lookup(key, "model"), HEALTHY)


def both(silent: str, refused: str) -> Table:
    """Return what the replaced class does in the same faults, tried once."""
    columns = {"name": "fault", "outcome": "outcome", "seconds": "seconds"}
    rows = [
        outcome("Upstash hangs", lambda: Replaced(Redis(silent, "token")).lookup("p", "model")),
        outcome("Upstash refuses", lambda: Replaced(Redis(refused, "token")).lookup("p", "model")),
    ]
    return {"title": "The replaced class in these faults", "columns": columns, "rows": rows}


def outcome(name: str, lookup: Callable[[], object]) -> Row:
    """Return how a lookup ended, or that it had not after GIVEN_UP seconds."""
    said, seconds = f"still waiting after {GIVEN_UP:g} s", GIVEN_UP

    def run() -> None:
        nonlocal said, seconds
        began = time.perf_counter()
        try:
            lookup()
            ended = "a miss"
        except Exception as error:  # noqa: BLE001  whatever it raises reaches its caller
            ended = f"raises {type(error).__name__}"
        said, seconds = ended, time.perf_counter() - began

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(GIVEN_UP)
    return {"name": name, "outcome": said, "seconds": seconds}
