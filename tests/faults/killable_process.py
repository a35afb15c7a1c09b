"""Operations of the cache for a process of its own that a test may kill at any moment."""

import gc
import logging
import signal
import time
import warnings
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection as Pipe
from typing import Any

from langchain_core.outputs import Generation
from tests.faults.either_client import EitherClient
from tests.integration.filling import fill
from tests.integration.protected_request import protected_request
from tests.integration.upstash.connection import Connection

from llm_cache import CacheNamespace, CachePolicy, Encryption, StoreError, UpstashRedisCache
from llm_cache._protocol.clearing import PAGE
from llm_cache._upstash.credentials import Credentials
from llm_cache._upstash.upstash_store import UpstashStore

LEASE = 0.25  # seconds
PATIENCE = 20.0  # seconds of one command, and of a wait for the lease of a killed process
KEYS = "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3I="
MODEL = "model"
QUESTION, SIBLING, BYSTANDER = "question", "sibling", "bystander"
UNTAGGED = CachePolicy()  # of the bystander
RED = CachePolicy(tags=("red",))  # of the question and its sibling
FLEET = replace(RED, coalesce="fleet")
REFRESH = replace(RED, mode="refresh")
OLD, NEW, NEXT = "the old answer", "the new answer", "the next answer"
NOWHERE = "http://127.0.0.1:9"
CLEARED, STORED_AGAIN = 2 * PAGE + 100, 100


def answer(text: str) -> list[Generation]:
    return [Generation(text=text)]


@dataclass(frozen=True, slots=True)
class Job:
    """One operation for a process."""

    operation: str
    url: str
    token: str


class CacheClient(EitherClient):
    """A cache, and short forms of the calls that the tests make."""

    def __init__(
        self, job: Job, *, lease: float = LEASE, report: Callable[[object], None] = print
    ) -> None:
        self.report = report
        protection = Encryption(KEYS) if job.operation.startswith("encrypted") else None
        self.store = UpstashStore(lambda: Credentials(job.url, job.token))
        self.cache = UpstashRedisCache(
            self.store,
            namespace=None if job.operation == "flush" else "shop",
            lease=lease,
            timeout=PATIENCE,
            protection=protection,
        )
        super().__init__(self.cache, blocking=not job.operation.startswith("asynchronous"))
        self.namespace = CacheNamespace(self.store, self.cache._keys.prefix, protection=protection)

    async def ask(
        self, policy: CachePolicy, text: str | None = None, question: str = QUESTION
    ) -> str | None:
        """Look up, and store ``text`` after a miss, if there is one; return the found text."""
        with self.cache.policy(policy):
            found = await self.call("lookup", question, MODEL)
            if found is None and text is not None:
                await self.call("update", question, MODEL, answer(text))
        return None if found is None else _text(found)

    async def store_answer(self, question: str, text: str, policy: CachePolicy = RED) -> None:
        with self.cache.policy(policy):
            await self.call("update", question, MODEL, answer(text))

    async def reclaim(self, cursor: str = "0") -> None:
        """Reclaim page by page, and report each cursor."""
        while (reclaimed := self.namespace.reclaim(seconds=0, cursor=cursor)).cursor != "0":
            cursor = reclaimed.cursor
            self.report(cursor)

    @property
    def key(self) -> str:
        key: str = protected_request(self.cache._call_of(QUESTION, MODEL)).key
        return key


def _text(found: list[Generation]) -> str:
    """Return the text of an answer, or the whole answer if it holds anything else."""
    return found[0].text if found == answer(found[0].text) else f"{found}"


@dataclass(frozen=True, slots=True)
class State:
    """What another process finds in Redis: two answers, and maybe a lease of the first."""

    question: str | None
    bystander: str | None = BYSTANDER
    leased: bool = False


EMPTY = State(None, None)
FIRST = State(NEW, None)
UNANSWERED = State(None)
ANSWERED = State(OLD)
RENEWED = State(NEW)
LEASED = State(None, leased=True)


def nothing(client: CacheClient, server: Connection) -> None:
    """Leave the database empty."""


def others(client: CacheClient, server: Connection) -> None:
    """Store two other answers, so that the namespace and the tag have epochs."""
    client.run(client.store_answer(SIBLING, OLD))
    client.run(client.store_answer(BYSTANDER, BYSTANDER, UNTAGGED))


def answered(client: CacheClient, server: Connection) -> None:
    others(client, server)
    client.run(client.store_answer(QUESTION, OLD))


def unreadable(client: CacheClient, server: Connection) -> None:
    others(client, server)
    server.call("SET", client.key, "rubbish", "EX", 60)


def cleared(client: CacheClient, server: Connection, tag: str | None = None) -> None:
    """Clear many answers, and store some of them and all three again."""
    answered(client, server)
    fill(server, "shop", client.key, CLEARED)
    client.cache.clear(tag=tag)
    answered(client, server)
    fill(server, "shop", client.key, STORED_AGAIN)


def cleared_by_tag(client: CacheClient, server: Connection) -> None:
    cleared(client, server, "red")


@dataclass(frozen=True, slots=True)
class Case:
    """An operation, the data before it, and the data after none, one, two … of its requests."""

    perform: Callable[[CacheClient], Coroutine[Any, Any, object]]
    prepare: Callable[[CacheClient, Connection], None]
    states: tuple[State, ...]

    @property
    def reclaims(self) -> bool:
        return self.prepare in (cleared, cleared_by_tag)

    def after(self, requests: int) -> State:
        """Return the state after so many requests; the last state stays."""
        return self.states[min(requests, len(self.states) - 1)]


_STORED = (UNANSWERED, UNANSWERED, RENEWED)
_STORED_UNDER_LEASE = (UNANSWERED, UNANSWERED, LEASED, RENEWED)
_EACH = {
    "lookup": Case(lambda c: c.ask(RED), answered, (ANSWERED,) * 2),
    "lookup without the entry's tag": Case(lambda c: c.ask(UNTAGGED), answered, (ANSWERED,) * 3),
    "lookup of an unreadable entry": Case(lambda c: c.ask(RED), unreadable, (UNANSWERED,) * 3),
    "first update": Case(lambda c: c.ask(RED, NEW), nothing, (EMPTY, EMPTY, FIRST)),
    "update": Case(lambda c: c.ask(RED, NEW), others, _STORED),
    "update without a lookup": Case(
        lambda c: c.store_answer(QUESTION, NEW), answered, (ANSWERED, RENEWED)
    ),
    "refresh": Case(lambda c: c.ask(REFRESH, NEW), answered, (ANSWERED, ANSWERED, RENEWED)),
    "lease": Case(lambda c: c.ask(FLEET, NEW), others, _STORED_UNDER_LEASE),
    "lease of a failing model": Case(
        lambda c: c.ask(FLEET), others, (UNANSWERED, UNANSWERED, LEASED, UNANSWERED)
    ),
    "lease of an uncacheable answer": Case(
        lambda c: c.ask(FLEET, ""), others, (UNANSWERED, UNANSWERED, LEASED, LEASED)
    ),
    "clear": Case(lambda c: c.call("clear"), answered, (ANSWERED, EMPTY)),
    "flush": Case(lambda c: c.call("clear"), answered, (ANSWERED, EMPTY)),
    "clear of a tag": Case(lambda c: c.call("clear", tag="red"), answered, (ANSWERED, UNANSWERED)),
    "delete": Case(lambda c: c.call("delete", QUESTION, MODEL), answered, (ANSWERED, UNANSWERED)),
    "reclaim": Case(lambda c: c.reclaim(), cleared, (ANSWERED,)),
    "reclaim of a tag": Case(lambda c: c.reclaim(), cleared_by_tag, (ANSWERED,)),
}
_ASYNCHRONOUS = ("lookup", "update", "lease", "lease of a failing model", "clear", "delete")
OPERATIONS = {
    **_EACH,
    **{f"encrypted {name}": _EACH[name] for name in ("update", "clear of a tag")},
    **{f"asynchronous {name}": _EACH[name] for name in _ASYNCHRONOUS},
}


NOTHING_WRONG = [OLD, True, None, NEW, None, NEW, None, 0]
"""What ``use_everything`` returns where a killed process left nothing wrong."""


async def survive(client: CacheClient, cursor: str) -> list[object]:
    """Use the cache after another process was killed, and return what it finds."""
    found: list[object] = [await client.ask(RED), await client.ask(UNTAGGED, question=BYSTANDER)]
    began = time.monotonic()
    found.append(await client.ask(FLEET, NEXT))
    seconds = time.monotonic() - began
    found.append(await client.ask(RED))
    await client.reclaim(cursor)
    entries = client.store.execute(("KEYS", client.cache._keys.entry_pattern), PATIENCE)
    known = [(QUESTION, RED), (SIBLING, RED), (BYSTANDER, UNTAGGED)]
    hits = [await client.ask(policy, question=question) for question, policy in known]
    unknown = len(entries) - sum(hit is not None for hit in hits)
    return [seconds, *found, unknown, *await use_everything(client)]


async def use_everything(client: CacheClient) -> list[object]:
    """Return the result of each operation, one after another."""
    with client.cache.policy() as report:
        await client.ask(REFRESH, OLD)
        used = [await client.ask(RED), await client.call("delete", QUESTION, MODEL)]
        used += [await client.ask(FLEET, NEW), await client.ask(RED)]
        await client.call("clear", tag="red")
        await client.store_answer(BYSTANDER, NEW, UNTAGGED)
        used += [await client.ask(RED), await client.ask(UNTAGGED, question=BYSTANDER)]
        await client.call("clear")
        used += [await client.ask(UNTAGGED, question=BYSTANDER), report.errors]
    return used


def perform(job: Job, report: Callable[[object], None]) -> None:
    client = CacheClient(job, report=report)
    client.run(OPERATIONS[job.operation].perform(client))


def perform_until_killed(job: Job, pipe: Pipe) -> None:
    """Run a job, report None at its end, and wait to be killed."""
    warnings.simplefilter("error")
    signal.alarm(600)  # ends this process if the killer has died
    perform(job, pipe.send)
    pipe.send(None)
    signal.pause()


def warm_up() -> None:
    """Import what each operation imports on first use, by running all of them in vain."""
    logging.disable()
    for operation in OPERATIONS:
        with suppress(StoreError):
            perform(Job(operation, NOWHERE, "token"), print)
    logging.disable(logging.NOTSET)
    gc.freeze()  # no forked process copies shared memory by collecting it
