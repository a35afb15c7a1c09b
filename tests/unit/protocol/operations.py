"""A request, its entries, and a stepper that drives an operation: no server, no clock."""

from collections.abc import Generator
from typing import Any
from unittest.mock import ANY

from llm_cache import CachePolicy, UnreadableEntry
from llm_cache._entries.envelope import Entry, encode_body, fingerprint, metadata, tag_separator
from llm_cache._entries.keys import Keyspace, tag_hash
from llm_cache._entries.opening import OPENING
from llm_cache._protocol.effects import Command
from llm_cache._protocol.lookup import Hit, Miss
from llm_cache._protocol.request import Request
from llm_cache._reasons import Reason

NOW = 1000.0
KEYS = Keyspace("ns")
HASHED = "a" * 64
ENTRY_KEY, LEASE_KEY, EPOCH_KEY = f"ns:entry:{HASHED}", f"ns:lease:{HASHED}", "ns:epoch"
RED = tag_hash("red")


class Greeting:
    """A codec that reads no answer but ``hi``."""

    name = "greeting"

    def serialize(self, answer: Any) -> tuple[str, ...] | None:
        return (f'"{answer}"',)

    def read(self, entry: Entry) -> str:
        if entry.answer != ("hi",):
            raise UnreadableEntry("not hi")
        return "hi"


def request(**policy: Any) -> Request[str]:
    return Request((0, "", ()), KEYS, HASHED, CachePolicy(**policy), Greeting(), lambda: NOW)


def entry(
    epoch: str = "e1",
    *,
    answer: str = "hi",
    age: float = 5,
    codec: str = "greeting",
    asked: str | None = None,
    **tags: str,
) -> str:
    """Return an entry with a TTL of 60 seconds; ``tags`` are epochs by the names of tags."""
    tagged = "".join(tag_separator(tag_hash(tag)) + tags[tag] for tag in sorted(tags, key=tag_hash))
    return (
        OPENING
        + epoch
        + tagged
        + encode_body(metadata(NOW - age, 60, codec), [f'"{answer}"'], asked)
    )


def hit(age: float) -> Hit[str]:
    """Return a hit that equals one of any text."""
    return Hit("hi", age, 60 - age, ANY)


def miss(
    reason: Reason, *epochs: str | None, entry: str | None = None, stale: Hit[str] | None = None
) -> Miss[str]:
    """Return a miss that found ``entry``; it equals one of any detail."""
    return Miss(reason, epochs, stale, fingerprint(entry), ANY)


class Stepper:
    """Drives an operation.

    ``step``: the arguments of the command that waits for its reply, or a pause; None at the end.
    """

    def __init__(self, operation: Generator[Any, Any, Any]) -> None:
        self.operation = operation
        self.step: Any = None
        self.result: Any = None
        self.reply(None)

    def reply(self, reply: Any) -> Any:
        """Send the reply, or throw it in; return the next step."""
        proceed = self.operation.throw if isinstance(reply, Exception) else self.operation.send
        try:
            step = proceed(reply)
            self.step = step.args if isinstance(step, Command) else step
        except StopIteration as done:
            self.step, self.result = None, done.value
        return self.step

    def cancel(self) -> None:
        self.operation.close()


def drive(operation: Generator[Any, Any, Any], *replies: Any) -> tuple[list[Any], Any]:
    """Send every reply; return the steps and the result."""
    stepper = Stepper(operation)
    steps = [stepper.step, *map(stepper.reply, replies)]
    assert steps.pop() is None, "the operation has not ended"
    return steps, stepper.result
