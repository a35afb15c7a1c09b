"""A fleet of processes that ask one question at the same moment.

``python -m tests.integration.engine.fleet`` imports what it needs, forks, and each process builds
a cache of its own. What they do stands in files, a line each: ``calls`` of the model, ``answers``,
``lookups``, the ``seconds`` those took, and ``errors``.
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
from llm_cache._upstash.store import UpstashStore

PATIENT = 20.0  # seconds a command may take: they all come at once, to a machine with few cores
NONE = "none"  # the answer of one whose model failed


@dataclass(frozen=True, slots=True)
class Fleet(JsonRecord):
    """How many ask, where, and what happens.

    The first ``hang`` calls of the model never end, the first ``fail`` fail.
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

    def note(self, name: str, line: str) -> int:
        """Add a line to a file that all share; return how many it has then, at least."""
        with (Path(self.folder) / name).open("a") as file:
            file.write(line + "\n")  # one short write to the end of a file is not torn
        return len(self.noted(name))

    def noted(self, name: str) -> list[str]:
        """Return the lines of a file that all share."""
        path = Path(self.folder) / name
        return path.read_text().splitlines() if path.exists() else []


class Slow(BaseChatModel):
    """Takes a while to answer, and notes that it was asked, and by which process."""

    fleet: Any

    @property
    def _llm_type(self) -> str:
        return "slow"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        number = self.fleet.note("calls", str(os.getpid()))
        time.sleep(600 if number <= self.fleet.hang else self.fleet.call)
        if number <= self.fleet.fail:
            raise RuntimeError("the model failed")
        return ChatResult(generations=[ChatGeneration(message=AIMessage(f"answer {number}"))])


def ask(fleet: Fleet, started: Callable[[], object]) -> None:
    """Ask once, together with the others, and note the answer."""
    store = UpstashStore(lambda: Credentials(fleet.url, fleet.token))
    cache = UpstashRedisCache(store, namespace="fleet", lease=fleet.lease, timeout=PATIENT)
    model = Slow(cache=cache, fleet=fleet)
    store._client_at(store.secrets())  # builds a client, which takes longer than to ask
    started()
    answer = NONE
    with cache.policy(CachePolicy(coalesce="fleet")) as report, suppress(RuntimeError):
        answer = model.invoke("same").text
    fleet.note("answers", answer)
    fleet.note("seconds", str(report.outcomes[0].seconds))
    fleet.note("lookups", f"{report.outcomes[0].status} {report.outcomes[0].why or ''}".strip())
    if report.errors:
        fleet.note("errors", str(report.outcomes))


class Start:
    """Lets processes go all at once: each waits for the end of a pipe that the program closes."""

    def __init__(self) -> None:
        self._ready, self._go = os.pipe(), os.pipe()

    def wait(self) -> None:
        """Say that this process is ready, and return when the program lets it go."""
        os.close(self._go[1])
        os.write(self._ready[1], b".")
        os.read(self._go[0], 1)

    def give(self, size: int) -> None:
        """Wait for ``size`` processes, and let them go."""
        for _ in range(size):
            os.read(self._ready[0], 1)
        os.close(self._go[1])


def warm_up(fleet: Fleet) -> None:
    """Import, once for all, what is imported on first use: ask where nobody listens."""
    with tempfile.TemporaryDirectory() as folder:
        nowhere = replace(fleet, url="http://127.0.0.1:9", folder=folder, call=0.0, fail=0, hang=0)
        ask(nowhere, lambda: None)


def main() -> None:
    fleet = Fleet.from_json(sys.argv[1])
    leases.LEASE_LIFE, heartbeat.RENEW_EVERY = fleet.life, fleet.life / 3
    warm_up(fleet)
    gc.freeze()  # so that no process copies, by collecting it, what all of them share
    fork, start = multiprocessing.get_context("fork"), Start()
    asking = [
        fork.Process(target=ask, args=(fleet, start.wait), daemon=True) for _ in range(fleet.size)
    ]
    for process in asking:
        process.start()
    start.give(fleet.size)
    for process in asking:
        process.join()


if __name__ == "__main__":
    main()
