"""Every operation of the cache, each in a process of its own that may be killed at any moment.

``python -m tests.faults.victims`` imports what it needs and has no threads. For each line it reads
it forks a process, which does one operation and then waits to be killed. Of each it says, a line of
JSON each: its ``pid``, what it ``told``, that it is ``done``, how it ``ended``.
"""

import asyncio
import gc
import inspect
import json
import logging
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from langchain_core.outputs import Generation
from tests.json_record import JsonRecord

from llm_cache import CacheNamespace, CachePolicy, Encryption, StoreError, UpstashRedisCache
from llm_cache._upstash.credentials import Credentials
from llm_cache._upstash.upstash_store import UpstashStore

LEASE = 0.25  # seconds
PATIENT = 20.0  # seconds a command may take, and a survivor waits for the lease of one who died
KEYS = "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3I="
MODEL = "model"
QUESTION, SIBLING, BYSTANDER = "question", "sibling", "bystander"
RED = CachePolicy(tags=("red",))  # the question's, and its sibling's
FLEET = CachePolicy(tags=("red",), coalesce="fleet")
OLD, NEW, NEXT = "the old answer", "the new answer", "the next answer"
NOWHERE = "http://127.0.0.1:9"


def answer(text: str) -> list[Generation]:
    """Return what a model would."""
    return [Generation(text=text)]


def text_of(found: list[Generation] | None) -> str | None:
    """Return the text of an answer; if it is any other than ``answer`` makes, all that it is."""
    return (
        None if found is None else found[0].text if found == answer(found[0].text) else f"{found}"
    )


@dataclass(frozen=True, slots=True)
class Job(JsonRecord):
    """What a process is to do, and where. ``cursor`` is where a survivor resumes a reclaim."""

    operation: str
    url: str
    token: str
    survives: bool = False
    cursor: str = "0"


class Caller:
    """One who uses the cache, and tells what comes of it."""

    def __init__(self, job: Job, *, lease: float = LEASE) -> None:
        protected, flushed = job.operation.startswith("protected"), job.operation == "flush"
        protection = Encryption(KEYS) if protected else None
        self.store = UpstashStore(lambda: Credentials(job.url, job.token))
        self.cache = UpstashRedisCache(
            self.store,
            namespace=None if flushed else "shop",
            lease=lease,
            timeout=PATIENT,
            protection=protection,
        )
        self.namespace = CacheNamespace(self.store, self.cache._keys.prefix, protection=protection)

    def lookup(self, question: str = QUESTION, policy: CachePolicy = RED) -> str | None:
        """Return the text of an answer."""
        with self.cache.policy(policy):
            return text_of(self.cache.lookup(question, MODEL))

    def update(self, question: str, text: str, policy: CachePolicy = RED) -> None:
        """Store an answer without a lookup before it."""
        with self.cache.policy(policy):
            self.cache.update(question, MODEL, answer(text))

    def ask(self, policy: CachePolicy, text: str | None) -> str | None:
        """Look up, and on a miss ask a model that says ``text``; None: it fails."""
        with self.cache.policy(policy):
            found = self.cache.lookup(QUESTION, MODEL)
            if found is None and text is not None:
                self.cache.update(QUESTION, MODEL, answer(text))
        return text_of(found)

    async def aask(self, policy: CachePolicy, text: str | None) -> None:
        """Do as ``ask`` does."""
        with self.cache.policy(policy):
            found = await self.cache.alookup(QUESTION, MODEL)
            if found is None and text is not None:
                await self.cache.aupdate(QUESTION, MODEL, answer(text))


def tell(**what: object) -> None:
    """Say something in one short write, which is not torn."""
    os.write(sys.stdout.fileno(), json.dumps(what).encode() + b"\n")


def reclaim(caller: Caller, cursor: str = "0") -> None:
    """Reclaim page by page, and tell how far it has come."""
    while (reclaimed := caller.namespace.reclaim(seconds=0, cursor=cursor)).cursor != "0":
        cursor = reclaimed.cursor
        tell(told=cursor)


REFRESH = replace(RED, mode="refresh")
UNTAGGED = CachePolicy()

PERFORM: dict[str, Callable[[Caller], Any]] = {
    "lookup": Caller.lookup,
    "lookup of an answer under a tag it does not name": lambda c: c.lookup(policy=UNTAGGED),
    "lookup of what is unreadable": Caller.lookup,
    "first update": lambda c: c.ask(RED, NEW),
    "update": lambda c: c.ask(RED, NEW),
    "update without a lookup": lambda c: c.update(QUESTION, NEW),
    "refresh": lambda c: c.ask(REFRESH, NEW),
    "lease": lambda c: c.ask(FLEET, NEW),
    "lease of a model that fails": lambda c: c.ask(FLEET, None),
    "lease of an answer not to store": lambda c: c.ask(FLEET, ""),
    "clear": lambda c: c.cache.clear(),
    "clear of a tag": lambda c: c.cache.clear(tag="red"),
    "flush": lambda c: c.cache.clear(),
    "delete": lambda c: c.cache.delete(QUESTION, MODEL),
    "reclaim": reclaim,
    "reclaim of a tag": reclaim,
    "protected update": lambda c: c.ask(RED, NEW),
    "protected clear of a tag": lambda c: c.cache.clear(tag="red"),
    "asynchronous lookup": lambda c: c.aask(RED, None),
    "asynchronous update": lambda c: c.aask(RED, NEW),
    "asynchronous lease": lambda c: c.aask(FLEET, NEW),
    "asynchronous lease of a model that fails": lambda c: c.aask(FLEET, None),
    "asynchronous clear": lambda c: c.cache.aclear(),
    "asynchronous delete": lambda c: c.cache.adelete(QUESTION, MODEL),
}
"""What is done in the process to be killed."""


def survive(caller: Caller, cursor: str) -> None:
    """Use the cache after another process was killed, and tell what it finds and what it does."""
    found = {
        "question": caller.lookup(),
        "bystander": caller.lookup(BYSTANDER, UNTAGGED),
    }
    began = time.monotonic()
    asked = caller.ask(FLEET, NEXT)
    seconds = time.monotonic() - began
    again = caller.lookup()
    reclaim(caller, cursor)
    entries = caller.store.execute(("KEYS", caller.cache._keys.entry_pattern), PATIENT)
    hits = [caller.lookup(), caller.lookup(SIBLING), caller.lookup(BYSTANDER, UNTAGGED)]
    tell(
        found=found,
        asked=asked,
        seconds=seconds,
        again=again,
        unknown=len(entries) - sum(hit is not None for hit in hits),
        used=_used(caller),
    )


def _used(caller: Caller) -> list[object]:
    """Return what comes of each operation, one after another."""
    with caller.cache.policy() as report:
        caller.ask(REFRESH, OLD)
        used: list[object] = [caller.lookup(), caller.cache.delete(QUESTION, MODEL)]
        used += [caller.ask(FLEET, NEW), caller.lookup()]
        caller.cache.clear(tag="red")
        caller.update(BYSTANDER, NEW, UNTAGGED)
        used += [caller.lookup(), caller.lookup(BYSTANDER, UNTAGGED)]
        caller.cache.clear()
        used += [caller.lookup(BYSTANDER, UNTAGGED), report.errors]
    return used


USED = [OLD, True, None, NEW, None, NEW, None, 0]
"""What ``_used`` returns where nothing is amiss."""


def perform(job: Job) -> None:
    if job.survives:
        survive(Caller(job, lease=PATIENT / 2), job.cursor)
    elif inspect.iscoroutine(begun := PERFORM[job.operation](Caller(job))):
        asyncio.run(begun)


def warm_up() -> None:
    """Import, once for all, what is imported on first use: do it all where nobody listens."""
    logging.disable()
    for operation in PERFORM:
        for survives in (False, True):
            with suppress(StoreError):
                perform(Job(operation, NOWHERE, "token", survives))
    logging.disable(logging.NOTSET)


def _be_killed(job: Job) -> None:
    tell(pid=os.getpid())
    signal.alarm(600)  # ends this process if the killer has died
    try:
        perform(job)
        tell(done=True)
        signal.pause()
    finally:
        traceback.print_exc()
        os._exit(1)


def main() -> None:
    warm_up()
    gc.freeze()  # so that no process copies, by collecting it, what all of them share
    for line in sys.stdin:
        if (pid := os.fork()) == 0:
            _be_killed(Job.from_json(line))
        _, status = os.waitpid(pid, 0)
        tell(ended=os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
