"""The database that is examined, with a time limit for all commands together."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, TypeVar

from llm_cache._entries.keys import Keyspace
from llm_cache._errors import StoreTimeout
from llm_cache._protocol.effects import Command, CommandArgs
from llm_cache._upstash.credentials import Credentials
from llm_cache._upstash.upstash_store import UpstashStore

T = TypeVar("T")
COMMAND_SECONDS = 3.0
ALL_SECONDS = 15.0
DENIED = ("NOPERM", "ERR ACL failure", "ACL failure")


@dataclass(frozen=True, slots=True)
class Database:
    """Runs commands; no command begins ``ALL_SECONDS`` after the first check."""

    store: UpstashStore
    host: str
    deadline: float = field(default_factory=lambda: time.monotonic() + ALL_SECONDS)

    @classmethod
    def at(cls, credentials: Credentials) -> Database:
        """Return the database with these credentials; it connects with the first command."""
        host = credentials.url.partition("//")[2]
        return cls(UpstashStore(lambda: credentials), host)

    def execute(self, args: CommandArgs) -> Any:
        """Run a command; raise ``StoreError``."""
        left = self.deadline - time.monotonic()
        try:
            return self.store.execute(args, min(COMMAND_SECONDS, max(0.0, left)))
        except StoreTimeout as error:
            if left > COMMAND_SECONDS:
                raise
            text = f"the database is slow: the {ALL_SECONDS:.0f} seconds for all checks are over"
            raise StoreTimeout(text) from error

    def run(self, command: Command[T]) -> T:
        """Run a command and return its parsed reply; raise ``StoreError``."""
        return command.parse(self.execute(command.args))


@dataclass(frozen=True, slots=True)
class ProbeKeys:
    """Keys of a namespace that do not exist: their hashes are random."""

    keys: Keyspace
    hashed: str

    @property
    def entry(self) -> str:
        """The key of an entry."""
        return self.keys.entry(self.hashed)

    @property
    def by_pattern(self) -> dict[str, str]:
        """A key for each pattern of a role; only the epoch of the namespace may exist."""
        return {
            "entry:*": self.entry,
            "lease:*": self.keys.lease(self.hashed),
            "epoch": self.keys.epoch,
            "epoch:*": self.keys.tag_epoch(self.hashed[:32]),
        }
