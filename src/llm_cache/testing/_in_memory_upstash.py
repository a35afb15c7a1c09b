"""The value of the fixture ``upstash``."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import time
from typing import Any

from llm_cache._errors import StoreError, StoreUnavailable
from llm_cache._protocol.effects import CommandArgs
from llm_cache._upstash.http_messages import HttpReply
from llm_cache._upstash.rest_client import read_reply
from llm_cache.testing._commands import run
from llm_cache.testing._database import Database, RedisError, Reply

BAD_REQUEST = 400


class InMemoryUpstash:
    """An Upstash database in memory: no binary, no network, no waiting. Threads may share it.

    ``commands`` lists the names of the commands that were sent, failed ones too. Set ``full`` to
    True, and the database refuses to store, but serves hits and clears.
    """

    def __init__(self) -> None:
        self.commands: list[str] = []
        self.full = False
        self.advanced = 0.0  # seconds
        self._database = Database(
            clock=lambda: time.time() + self.advanced, is_full=lambda: self.full
        )
        self._error: StoreError | None = None
        self._failures: int | None = None  # that are left; None: no end
        self._lock = threading.Lock()

    @property
    def keys(self) -> list[str]:
        """The keys that have not expired, in order."""
        with self._lock:
            return [key.decode() for key in self._database.live_keys()]

    def flush(self) -> None:
        """Delete every key, without a command."""
        with self._lock:
            self._database.flush()

    def fail(self, error: StoreError | None = None, *, times: int | None = None) -> None:
        """Raise ``error`` for the next ``times`` commands; None: until ``recover``.

        The default is ``StoreUnavailable``. ``StoreTimeout("slow")`` fails at once too, and
        ``StoreRefused("text")`` is an error of Redis.
        """
        with self._lock:
            self._error = error or StoreUnavailable("the test has made Upstash fail")
            self._failures = times

    def recover(self) -> None:
        """Run commands again."""
        with self._lock:
            self._error = None

    def advance(self, seconds: float) -> None:
        """Advance the time of the database, and the clocks of caches and circuit breakers.

        Answers grow older and expire; no time passes.
        """
        if seconds < 0:
            raise ValueError(f"seconds={seconds} is not accepted: 0 or more")
        self.advanced += seconds

    def execute(self, command: CommandArgs, deadline: float) -> Any:  # noqa: ARG002  ends at once
        """Run a command as ``RestClient`` does; raise ``StoreError``."""
        name, *args = command
        with self._lock:
            self.commands.append(str(name))
            self._fail_if_demanded()
            try:
                result = run(self._database, str(name), [str(arg).encode() for arg in args])
                reply = _http_reply({"result": _encoded(result)})
            except RedisError as error:
                reply = _http_reply({"error": str(error)}, BAD_REQUEST)
        return read_reply(command, reply)

    async def aexecute(self, command: CommandArgs, deadline: float) -> Any:
        """Run a command as ``execute`` does, after the other tasks that are ready."""
        await asyncio.sleep(0)
        return self.execute(command, deadline)

    def _fail_if_demanded(self) -> None:
        if self._error is None or self._failures == 0:
            return
        if self._failures is not None:
            self._failures -= 1
        raise self._error.with_traceback(None)  # each failure adds its own frames


def _http_reply(body: object, status: int = 200) -> HttpReply:
    return HttpReply(status, {}, json.dumps(body).encode(), reusable=True)


def _encoded(reply: Reply) -> Any:
    """Return a reply as Upstash's JSON with text in base64."""
    if isinstance(reply, list):
        return [_encoded(each) for each in reply]
    return base64.b64encode(reply).decode() if isinstance(reply, bytes) else reply
