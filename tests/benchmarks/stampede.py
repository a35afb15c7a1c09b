"""Many processes ask one new question at the same moment: model calls, commands and seconds.

A warm process forks a hundred, which share its memory and start together; each builds its own cache
and connects after the fork.
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
from tests.benchmarks.client_process import Setup
from tests.benchmarks.interleaved import read_meter
from tests.benchmarks.tables import Row, Table
from upstash_redis import Redis

from llm_cache import CachePolicy, UpstashRedisCache

MODES = ("off", "process", "fleet")
PROCESSES, FEW = 100, 20
THREADS = 2  # callers in each process
CALL = 5.0  # seconds of a model call, long enough for all callers to start on two cores
PATIENCE = 30.0  # seconds of a command while all callers send one
COLUMNS = {
    "name": "coalesce",
    "askers": "callers",
    "calls": "model calls",
    "commands": "commands",
    "seconds": "seconds until all callers had an answer",
    "middle": "seconds until half of them had an answer",
}


class Slow(BaseChatModel):
    """Answers after some seconds, and counts its calls in all processes."""

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
    """The state that the processes of one stampede share."""

    setup: Setup
    mode: str
    calls: "Synchronized[int]"
    start: Barrier
    results: Any

    def process(self) -> None:
        """Build a cache, wait for the other processes, ask from several threads, and report."""
        with Redis(self.setup.url, self.setup.token) as redis:
            cache = UpstashRedisCache(redis, namespace=f"stampede {self.mode}", timeout=PATIENCE)
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
        began = time.perf_counter()
        with cache.policy(CachePolicy(coalesce=self.mode)):
            assert model.invoke("the same question").text
        took.append(time.perf_counter() - began)


def measure(setup: Setup) -> list[Table]:
    number = FEW if setup.short else PROCESSES
    warm_up(setup)
    gc.freeze()  # no process copies shared memory by collecting it
    note = f"{number} processes with {THREADS} callers each; a model call takes {CALL:g} s. The \
processes are forked from a warm one; each opens its own connections."
    rows = [stampede(setup, mode, number) for mode in MODES]
    return [
        {"title": "A stampede", "columns": COLUMNS, "rows": rows, "plot": "calls", "note": note}
    ]


def warm_up(setup: Setup) -> None:
    """Use each mode once, so that all processes share its imports."""
    calls = multiprocessing.get_context("fork").Value("i", 0)
    with Redis(setup.url, setup.token) as redis:
        cache = UpstashRedisCache(redis, namespace="warm")
        model = Slow(cache=cache, calls=calls, seconds=0)
        for mode in MODES:
            with cache.policy(CachePolicy(coalesce=mode)):
                model.invoke(f"a question, {mode}")


def stampede(setup: Setup, mode: str, number: int) -> Row:
    fork = multiprocessing.get_context("fork")
    crowd = Crowd(setup, mode, fork.Value("i", 0), fork.Barrier(number + 1), fork.SimpleQueue())
    processes = [fork.Process(target=crowd.process) for _ in range(number)]
    for process in processes:
        process.start()
    while crowd.start.n_waiting < number:
        time.sleep(0.01)
    read_meter(setup.meter, "DELETE")
    crowd.start.wait()
    took = [seconds for _ in processes for seconds in crowd.results.get()]
    for process in processes:
        process.join()
    return {
        "name": mode,
        "askers": len(took),
        "calls": crowd.calls.value,
        "commands": read_meter(setup.meter)["commands"],
        "seconds": max(took),
        "middle": statistics.median(took),
    }
