"""The effects that an operation yields to its driver: Redis commands and pauses.

An operation is a generator without I/O. It yields commands and pauses, receives the replies, and
returns its result. ``drivers`` runs it; a test drives it by hand, with no server and no clock. A
failed command raises ``StoreError`` in it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import Future
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

T = TypeVar("T")
CommandArgs: TypeAlias = tuple[str | int, ...]


class Command(Generic[T]):
    """A Redis command, and how its reply is read: ``reply = yield from command``.

    ``parse`` returns the value of a reply, or raises ``StoreGarbled``.
    """

    __slots__ = ("args", "parse")

    def __init__(self, args: CommandArgs, parse: Callable[[object], T]) -> None:
        self.args = args
        self.parse = parse

    def __iter__(self) -> Operation[T]:
        """Yield the command to the driver; return the parsed reply."""
        return self.parse((yield self))


class Pause(NamedTuple):
    """A wait of at most ``seconds``, which ends sooner if ``until`` is done."""

    seconds: float
    until: Future[Any] | None = None


Operation: TypeAlias = Generator[Command[Any] | Pause, Any, T]
