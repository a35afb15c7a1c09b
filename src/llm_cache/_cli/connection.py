"""The database, the namespace and the stack that a command works on."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from llm_cache._admin.namespace import COMMAND_TIMEOUT, CacheNamespace, store_of
from llm_cache._config.cache_config import CacheConfig
from llm_cache._entries.keys import Keyspace
from llm_cache._protocol.drivers import run
from llm_cache._protocol.effects import Command, Operation
from llm_cache._stack.stack_access import StackAccess
from llm_cache._upstash.upstash_store import UpstashStore

if TYPE_CHECKING:
    from llm_cache._entries.protection import Protection

T = TypeVar("T")


@dataclass(frozen=True)
class Connection:
    """One namespace of one database. It connects, and reads SSM, with the first command.

    ``stack`` is None if the environment names the database.
    """

    config: CacheConfig
    stack: StackAccess | None = None
    arguments: tuple[str, ...] = ()
    """The options of the command line that found it, for a command that continues."""

    @classmethod
    def open(cls, *, stack: str | None, namespace: str | None) -> Connection:
        """Find the database of a stack, else of the environment; ``namespace`` overrides its own.

        Raises ``InvalidSettings`` that names the variable, or ``CommandFailure`` that names the
        stack.
        """
        access = StackAccess.open(stack) if stack else None
        environ: Mapping[str, str] = access.variables if access else os.environ
        found = CacheConfig.from_env(environ, namespace=namespace)
        named = {"--stack": stack, "--namespace": namespace}
        given = [part for name, value in named.items() if value for part in (name, value)]
        return cls(found, access, tuple(given))

    @cached_property
    def store(self) -> UpstashStore:
        """The database."""
        return store_of(self.config)

    @property
    def namespace(self) -> CacheNamespace:
        """The namespace, to clear and to reclaim."""
        return CacheNamespace(self.store, self.config.keyspace.prefix)

    @cached_property
    def keys(self) -> Keyspace:
        """The namespace's keys, whose hashes are keyed if the cache is signed or encrypted."""
        protection = self.store.secrets().protection
        return self.config.keyspace.with_secret(protection.name_secret if protection else None)

    def keys_for(self, *names: str | None) -> Keyspace:
        """Return keys that can hash the names; without a name, no secret is read."""
        return self.keys if any(names) else self.config.keyspace

    @cached_property
    def protection(self) -> Protection | None:
        """What signs or encrypts the entries; ``InvalidSettings`` if its package is missing."""
        keyring = self.store.secrets().protection
        if keyring is None:
            return None
        from llm_cache._entries.protection import protection_factory

        return protection_factory(encrypts=self.config.encrypts)(keyring)

    def run(self, operation: Operation[T]) -> T:
        """Run an operation; raise ``StoreError``."""
        return run(operation, self._execute)

    def _execute(self, command: Command[Any]) -> Any:
        return self.store.execute(command.args, COMMAND_TIMEOUT)
