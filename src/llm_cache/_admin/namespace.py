"""Clear and reclaim a namespace without LangChain: from a function, a shell, a script."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from llm_cache._checks import instance
from llm_cache._config.cache_config import CacheConfig
from llm_cache._config.value_checks import protection_or_none
from llm_cache._entries.keys import MAX_NAMESPACE, Keyspace, random_token
from llm_cache._protocol import clearing
from llm_cache._protocol.clearing import RETRY_PAUSE, Reclaimed
from llm_cache._protocol.drivers import run
from llm_cache._protocol.effects import Command
from llm_cache._upstash.credentials import fetch
from llm_cache._upstash.upstash_store import UpstashStore

if TYPE_CHECKING:
    from llm_cache._entries.protection import NameSecret

COMMAND_TIMEOUT = 5.0  # seconds; no model call waits for it


class CacheNamespace:
    """Clears one namespace of the cache, and reclaims its memory.

    ``clear`` raises ``StoreError``; ``reclaim`` and ``preview`` return it as ``failure``, with
    their progress. ``protection`` must be the cache's: its key hashes the names of tags.
    """

    NAME_LIMIT: ClassVar[int] = MAX_NAMESPACE
    """The most characters of a namespace's name."""
    OVERTIME: ClassVar[float] = 2 * COMMAND_TIMEOUT + RETRY_PAUSE
    """Seconds that the last page of a ``reclaim`` or ``preview`` may take after its time is up."""

    def __init__(
        self, store: UpstashStore, namespace: str, *, protection: NameSecret | None = None
    ) -> None:
        self._store = instance("store", store, UpstashStore, "an UpstashStore; see from_env()")
        self._keys = Keyspace(namespace)
        self._protection = protection_or_none(protection)

    @classmethod
    def from_env(
        cls, environ: Mapping[str, str] | None = None, *, namespace: str | None = None
    ) -> CacheNamespace:
        """Return the namespace of the given name, else of the name in the environment.

        Raises ``InvalidSettings`` if neither names a namespace.
        """
        config = CacheConfig.from_env(environ, namespace=namespace)
        return cls(store_of(config), config.keyspace.prefix)

    def __repr__(self) -> str:
        """Show the name: no address and no secret."""
        return f"CacheNamespace({self.name!r})"

    @property
    def name(self) -> str:
        """The namespace's name, with which its keys begin."""
        return self._keys.prefix

    def clear(self, tag: str | None = None, *, tenant: str | None = None) -> None:
        """Make all answers, or the answers of a tag or a tenant, misses. One command at any size.

        Raises ``InvalidPolicy`` for an invalid name, and for a tag together with a tenant. Redis
        frees the memory when the answers expire; ``reclaim`` frees it at once.
        """
        keys, token = self._keys_for(tag, tenant), random_token()
        work = clearing.clear(keys, token=token, now=time.time(), tag=tag, tenant=tenant)
        run(work, self._execute)

    def delete(self, key: str) -> bool:
        """Delete one answer by its key, as ``Outcome.key`` has it; return whether there was one.

        One command. The 64 hexadecimal digits at the end of the key suffice. Raises
        ``InvalidPolicy`` for the key of another namespace.
        """
        return run(clearing.delete_by_key(self._keys, key), self._execute)

    def reclaim(self, *, seconds: float, cursor: str = "0", dry_run: bool = False) -> Reclaimed:
        """Free the memory of cleared answers for about ``seconds``.

        Two commands for every 500 keys of the database. ``cursor`` resumes an unfinished reclaim:
        pass the one that it returned. A dry run only counts. Live entries stay. The last page may
        take ``OVERTIME`` seconds more.
        """
        proceed = time_limit(seconds)
        work = clearing.reclaim(self._keys, cursor=cursor, proceed=proceed, dry_run=dry_run)
        return run(work, self._execute)

    def preview(
        self,
        tag: str | None = None,
        *,
        tenant: str | None = None,
        seconds: float,
        cursor: str = "0",
    ) -> Reclaimed:
        """Count the entries that ``clear`` and ``reclaim`` would free, and change nothing.

        The entries of earlier clears count too. It costs, resumes and fails as ``reclaim`` does.
        """
        keys, proceed = self._keys_for(tag, tenant), time_limit(seconds)
        work = clearing.preview(keys, tag=tag, tenant=tenant, cursor=cursor, proceed=proceed)
        return run(work, self._execute)

    def _keys_for(self, *names: str | None) -> Keyspace:
        """Return keys that can hash the names; without a name, no secret is read."""
        protection = self._protection or self._store.secrets().protection if any(names) else None
        return self._keys.with_secret(protection.name_secret) if protection else self._keys

    def _execute(self, command: Command[Any]) -> Any:
        return self._store.execute(command.args, COMMAND_TIMEOUT)


def store_of(config: CacheConfig) -> UpstashStore:
    """Return the database, whose secrets hold the keyring of a protected cache.

    It connects, and reads SSM, on first use.
    """
    return UpstashStore(lambda: fetch(config, lambda keyring: keyring), max_age=config.max_age)


def time_limit(seconds: float) -> Callable[[], bool]:
    """Return a function that returns whether ``seconds`` from now are not over yet."""
    deadline = time.monotonic() + seconds
    return lambda: time.monotonic() < deadline
