"""A real server whose time the test moves, and a store with injected faults in front of it."""

import socket
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from llm_cache._errors import StoreRefused, StoreTimeout, StoreUnavailable
from llm_cache._protocol.effects import CommandArgs
from llm_cache._protocol.leases import TAKE
from llm_cache._protocol.store import STORE
from llm_cache._upstash.credentials import Credentials
from llm_cache._upstash.upstash_store import Guard, UpstashStore, no_guard
from upstash_endpoint.redis_server import RedisServer
from upstash_endpoint.resp import Parser, RedisError, pack

# Shortens the remaining time of each key: time passes for the server.
ADVANCE = """
for _, key in ipairs(redis.call('KEYS', '*')) do
  local left = redis.call('PTTL', key)
  if left >= 0 then redis.call('PEXPIRE', key, left - ARGV[1]) end
end
"""
CONTENTS = """
local found = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
  found[#found + 1] = {key, redis.call('GET', key), redis.call('PTTL', key)}
end
return found
"""
# A second of the test is 1,000 seconds of the server, so that the real time of a run hardly counts.
SCALE = 1000
DRIFT = 0.1  # seconds of the test by which the server may be ahead, in a run of 100 seconds
REFUSED, LOST, GARBLED = "refused", "lost", "garbled"  # faults; only a refused command does not run
GARBAGE: tuple[Any, ...] = (None, "<html>", [], 7, [None], {"error": "no"})


class Time:
    """The monotonic time of a run; it replaces the module ``time``."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@dataclass(frozen=True, slots=True)
class Stored:
    """The value of a key, and its remaining milliseconds; below 0: it has no expiry."""

    text: str
    left: float


class Database:
    """One connection to the server. ``changed``: since the contents were last read."""

    def __init__(self, server: RedisServer, time: Time) -> None:
        self.time = time
        self.changed = True
        self._socket = socket.create_connection(("127.0.0.1", server.port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._parser = Parser()
        self.call("AUTH", server.password)

    def call(self, *args: object) -> Any:
        self.changed |= args[0] != "MGET"
        self._socket.sendall(pack([str(arg).encode() for arg in args]))
        while not (replies := list(self._parser.feed(self._socket.recv(65536)))):
            pass
        assert not isinstance(replies[0].value, RedisError), replies[0].value
        return _text(replies[0].value)

    def advance(self, seconds: float) -> None:
        self.time.now += seconds
        self.call("EVAL", ADVANCE, 0, round(SCALE * 1000 * seconds))

    def contents(self) -> dict[str, Stored]:
        found = self.call("EVAL", CONTENTS, 0)
        self.changed = False
        return {key: Stored(text, left / SCALE) for key, text, left in found}

    def close(self) -> None:
        self._socket.close()


class FaultyStore(UpstashStore):
    """The store of every cache. ``faults``: of the next commands, in order; "": none.

    ``executed`` holds the commands that ran, their replies, and whether the replies arrived.
    """

    def __init__(self, database: Database) -> None:
        super().__init__(lambda: Credentials("https://x.upstash.io", "token"))
        self.database = database
        self.faults: deque[str] = deque()
        self.executed: list[tuple[CommandArgs, Any, bool]] = []
        self.failures = 0
        self.down = False
        self._garbage = 0

    def execute(self, command: Any, seconds: float, guard: Guard = no_guard) -> Any:
        assert seconds > 0
        with guard(seconds):
            return self._replied(command)

    def _replied(self, command: Any) -> Any:
        fault = self.faults.popleft() if self.faults else ""
        if self.down:
            raise StoreUnavailable("down")
        self.failures += bool(fault)
        if fault == REFUSED:
            raise StoreRefused("injected")
        reply = self.database.call(*_scaled(command))
        self.executed.append((command, reply, not fault))
        if fault == LOST:
            raise StoreTimeout("injected")
        if fault == GARBLED:
            self._garbage += 1
            garbage = GARBAGE[self._garbage % len(GARBAGE)]
            if command[0] == "MGET" and isinstance(garbage, list) and len(garbage) == len(reply):
                self.executed[-1] = (command, garbage, True)  # it looks like a reply
            return garbage
        return reply

    @contextmanager
    def without_faults(self) -> Iterator[None]:
        kept, self.faults = self.faults, deque()
        yield
        self.faults = kept


def _scaled(command: CommandArgs) -> CommandArgs:
    """Return the command with its TTL in the time of the server."""
    scaled = list(command)
    if command[0] == "SET" and "EX" in command:
        at = command.index("EX") + 1
    elif command[1] == STORE:
        at = 3 + int(command[2]) + 1  # its second argument
    elif command[1] == TAKE:
        at = len(command) - 2
        scaled[-1] = int(command[-1]) * SCALE  # the longest life of a lease
    else:
        return command
    scaled[at] = int(command[at]) * SCALE
    return tuple(scaled)


def _text(value: object) -> object:
    if isinstance(value, list):
        return [_text(item) for item in value]
    return value.decode() if isinstance(value, bytes) else value
