"""Many processes ask one new question at the same moment: model calls, commands and seconds.

The processes are forked from one that has imported everything, so that a hundred fit in memory and
start together; each builds a cache of its own and connects after the fork.
"""

import gc
import multiprocessing
import statistics
import threading
import time
from dataclasses import dataclass
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Barrier
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from tests.benchmarks.apart import At
from tests.benchmarks.tables import Row, Table
from tests.benchmarks.turns import asked
from upstash_redis import Redis

from llm_cache import CachePolicy, UpstashRedisCache

MODES = ("off", "process", "fleet")
PROCESSES, FEW = 100, 20
THREADS = 2  # askers in each process
CALL = 5.0  # seconds of a model call: until it ends, all have asked, on two cores too
PATIENT = 30.0  # seconds a command may take: all come at once, to a machine with few cores
COLUMNS = {
    "name": "coalesce",
    "askers": "askers",
    "calls": "model calls",
    "commands": "commands",
    "seconds": "seconds until all had an answer",
    "middle": "seconds until half had an answer",
}


class Slow(BaseChatModel):
    """Takes a while to answer, and counts its calls in all processes."""

    calls: Any
    seconds: float = CALL

    @property
    def _llm_type(self) -> str:
        return "slow"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        with self.calls.get_lock():
            self.calls.value += 1
        time.sleep(self.seconds)
        return ChatResult(generations=[ChatGeneration(message=AIMessage("an answer"))])


@dataclass
class Crowd:
    """What the processes of one stampede share."""

    at: At
    mode: str
    calls: "Synchronized[int]"
    start: Barrier
    results: Any

    def process(self) -> None:
        """Build a cache, wait for the other processes, ask from several threads, and report."""
        with Redis(self.at.url, self.at.token) as redis:
            cache = UpstashRedisCache(redis, namespace=f"stampede {self.mode}", timeout=PATIENT)
            model = Slow(cache=cache, calls=self.calls)
            cache.lookup("another question", "model")  # connects
            took: list[float] = []
            threads = [
                threading.Thread(target=self.ask, args=(cache, model, took)) for _ in range(THREADS)
            ]
            self.start.wait()
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.results.put(took)

    def ask(self, cache: UpstashRedisCache, model: Slow, took: list[float]) -> None:
        """Ask once and note the seconds."""
        began = time.perf_counter()
        with cache.policy(CachePolicy(coalesce=self.mode)):
            assert model.invoke("the same question").text
        took.append(time.perf_counter() - began)


def measure(at: At) -> list[Table]:
    """Run one stampede in each mode."""
    number = FEW if at.short else PROCESSES
    warm_up(at)
    gc.freeze()  # so that no process copies what all share by collecting it
    note = f"{number} processes with {THREADS} askers each; a model call takes {CALL:g} s. The \
processes are forked from one that has imported everything; each connects by itself."
    rows = [stampede(at, mode, number) for mode in MODES]
    return [
        {"title": "A stampede", "columns": COLUMNS, "rows": rows, "plot": "calls", "note": note}
    ]


def warm_up(at: At) -> None:
    """Import, once for all processes, what the first use in each mode imports."""
    calls = multiprocessing.get_context("fork").Value("i", 0)
    with Redis(at.url, at.token) as redis:
        cache = UpstashRedisCache(redis, namespace="warm")
        model = Slow(cache=cache, calls=calls, seconds=0)
        for mode in MODES:
            with cache.policy(CachePolicy(coalesce=mode)):
                model.invoke(f"a question, {mode}")


def stampede(at: At, mode: str, number: int) -> Row:
    """Return what one stampede cost."""
    fork = multiprocessing.get_context("fork")
    crowd = Crowd(at, mode, fork.Value("i", 0), fork.Barrier(number + 1), fork.SimpleQueue())
    processes = [fork.Process(target=crowd.process) for _ in range(number)]
    for process in processes:
        process.start()
    while crowd.start.n_waiting < number:
        time.sleep(0.01)
    asked(at.meter, "DELETE")
    crowd.start.wait()
    took = [seconds for _ in processes for seconds in crowd.results.get()]
    for process in processes:
        process.join()
    return {
        "name": mode,
        "askers": len(took),
        "calls": crowd.calls.value,
        "commands": asked(at.meter, "GET")["commands"],
        "seconds": max(took),
        "middle": statistics.median(took),
    }
