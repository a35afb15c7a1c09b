"""A fleet of processes that call the model for the same prompt at the same moment.

``python -m tests.integration.engine.fleet_program`` imports, then forks; each process makes its own
cache. The processes append lines to files: ``calls`` of the model, ``answers``, ``lookups``, their
``seconds``, and ``errors``.
"""

import gc
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from tests.json_record import JsonRecord

from llm_cache import CachePolicy, UpstashRedisCache
from llm_cache._engine import heartbeat
from llm_cache._protocol import leases
from llm_cache._upstash.credentials import Credentials
from llm_cache._upstash.upstash_store import UpstashStore

TIMEOUT = 20.0  # seconds of a command: all processes send theirs at once, on few cores
NO_ANSWER = "none"  # the answer of a failed model call


@dataclass(frozen=True, slots=True)
class Fleet(JsonRecord):
    """The size of a fleet, its database, and its model.

    ``call``: seconds of a model call. The first ``hang`` calls never end, the first ``fail`` fail.
    ``lease``: seconds until waiters give up; ``life``: seconds of a lease without renewal.
    """

    url: str
    token: str
    folder: str
    size: int
    lease: float = 30.0
    life: float = leases.LEASE_LIFE
    call: float = 1.0
    fail: int = 0
    hang: int = 0

    def record(self, name: str, line: str) -> int:
        """Add a line to a file of the fleet; return the number of its lines, or more."""
        with (Path(self.folder) / name).open("a") as file:
            file.write(line + "\n")  # a short append is atomic
        return len(self.recorded(name))

    def recorded(self, name: str) -> list[str]:
        """Return the lines of a file of the fleet."""
        path = Path(self.folder) / name
        return path.read_text().splitlines() if path.exists() else []


class SlowModel(BaseChatModel):
    """Takes a while, and records the process of each call."""

    fleet: Any

    @property
    def _llm_type(self) -> str:
        return "slow"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        number = self.fleet.record("calls", str(os.getpid()))
        time.sleep(600 if number <= self.fleet.hang else self.fleet.call)
        if number <= self.fleet.fail:
            raise RuntimeError("the model failed")
        return ChatResult(generations=[ChatGeneration(message=AIMessage(f"answer {number}"))])


def invoke(fleet: Fleet, wait_for_start: Callable[[], object]) -> None:
    """Call the model once, together with the other processes, and record the answer."""
    store = UpstashStore(lambda: Credentials(fleet.url, fleet.token))
    cache = UpstashRedisCache(store, namespace="fleet", lease=fleet.lease, timeout=TIMEOUT)
    model = SlowModel(cache=cache, fleet=fleet)
    store._client_of(store.secrets())  # makes the client, which takes longer than a lookup
    wait_for_start()
    answer = NO_ANSWER
    with cache.policy(CachePolicy(coalesce="fleet")) as report, suppress(RuntimeError):
        answer = model.invoke("same").text
    fleet.record("answers", answer)
    fleet.record("seconds", str(report.outcomes[0].seconds))
    fleet.record("lookups", f"{report.outcomes[0].status} {report.outcomes[0].why or ''}".strip())
    if report.errors:
        fleet.record("errors", str(report.outcomes))


class StartSignal:
    """Starts all processes at the same moment, even if one of them dies."""

    def __init__(self) -> None:
        self._ready, self._go = os.pipe(), os.pipe()

    def wait(self) -> None:
        """Report that this process is ready, and wait for the signal."""
        os.close(self._go[1])
        os.write(self._ready[1], b".")
        os.read(self._go[0], 1)

    def send(self, size: int) -> None:
        """Wait for ``size`` processes, and start them."""
        for _ in range(size):
            os.read(self._ready[0], 1)
        os.close(self._go[1])


def warm_up(fleet: Fleet) -> None:
    """Import what the first call imports, once for all processes; no server listens."""
    with tempfile.TemporaryDirectory() as folder:
        nowhere = replace(fleet, url="http://127.0.0.1:9", folder=folder, call=0.0, fail=0, hang=0)
        invoke(nowhere, lambda: None)


def main() -> None:
    fleet = Fleet.from_json(sys.argv[1])
    leases.LEASE_LIFE, heartbeat.RENEW_EVERY = fleet.life, fleet.life / 3
    warm_up(fleet)
    gc.freeze()  # a collection would copy the memory that the processes share
    fork, start = multiprocessing.get_context("fork"), StartSignal()
    processes = [
        fork.Process(target=invoke, args=(fleet, start.wait), daemon=True)
        for _ in range(fleet.size)
    ]
    for process in processes:
        process.start()
    start.send(fleet.size)
    for process in processes:
        process.join()


if __name__ == "__main__":
    main()
