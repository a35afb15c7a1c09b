"""Clearing without LangChain: for a scheduled function, a shell, an operator."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from llm_cache._checks import instance
from llm_cache._config.cache_config import CacheConfig
from llm_cache._config.value_checks import protection_or_none
from llm_cache._entries.keys import Keyspace, random_token
from llm_cache._protocol import clearing
from llm_cache._protocol.clearing import RETRY_PAUSE, Reclaimed
from llm_cache._protocol.drivers import run
from llm_cache._protocol.effects import Command
from llm_cache._upstash.credentials import fetch
from llm_cache._upstash.upstash_store import UpstashStore

if TYPE_CHECKING:
    from llm_cache._entries.protection import NameSecret

COMMAND_TIMEOUT = 5.0  # seconds; nobody waits for an answer here


class CacheNamespace:
    """One namespace of the cache, to be cleared and its memory reclaimed.

    ``clear`` raises ``StoreError``; ``reclaim`` and ``preview`` return it as ``failure``, with how
    far they came. ``protection`` is the cache's, which keys the names of tags.
    """

    OVERTIME: ClassVar[float] = 2 * COMMAND_TIMEOUT + RETRY_PAUSE
    """Seconds that the last page of a ``reclaim`` or ``preview`` may take after its time is up."""

    def __init__(
        self,
        store: UpstashStore,
        namespace: str,
        *,
        protection: NameSecret | None = None,
    ) -> None:
        self._store = instance("store", store, UpstashStore, "an UpstashStore; see from_env()")
        self._keys = Keyspace(namespace)
        self._protection = protection_or_none(protection)

    @classmethod
    def from_env(
        cls, environ: Mapping[str, str] | None = None, *, namespace: str | None = None
    ) -> CacheNamespace:
        """Open ``namespace``, or else the one that the environment names, in its database.

        Raises ``InvalidSettings`` where neither names one.
        """
        config = CacheConfig.from_env(environ, namespace=namespace)
        store = UpstashStore(lambda: fetch(config, lambda keyring: keyring), max_age=config.max_age)
        return cls(store, config.keyspace.prefix)

    @property
    def name(self) -> str:
        """The namespace, as its keys begin."""
        return self._keys.prefix

    def clear(self, tag: str | None = None, *, tenant: str | None = None) -> None:
        """Make every answer, or those of a tag or a tenant, a miss, at any size. One command.

        Raises ``InvalidPolicy`` for a name that no answer can have, and for both together. The
        memory comes back as the answers expire, or by ``reclaim``.
        """
        keys, token = self._knowing(tag, tenant), random_token()
        work = clearing.clear(keys, token=token, now=time.time(), tag=tag, tenant=tenant)
        run(work, self._execute)

    def reclaim(self, *, seconds: float, cursor: str = "0", dry_run: bool = False) -> Reclaimed:
        """Free the memory of cleared answers for about ``seconds``.

        Two commands for every 500 keys of the database. Resumed from the ``cursor`` that the last
        reclaim returned; entries in use are left alone. A dry run counts, and frees nothing. The
        last page may take ``OVERTIME`` seconds more.
        """
        proceed = _for(seconds)
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
        """Count what ``clear`` and a ``reclaim`` after it would free, and do neither.

        That includes what earlier clears left. It costs, resumes and fails as ``reclaim`` does.
        """
        keys, proceed = self._knowing(tag, tenant), _for(seconds)
        work = clearing.preview(keys, tag=tag, tenant=tenant, cursor=cursor, proceed=proceed)
        return run(work, self._execute)

    def _knowing(self, *names: str | None) -> Keyspace:
        """Return keys that know the names; without one, no secret is needed."""
        protection = self._protection or self._store.secrets().protection if any(names) else None
        return self._keys.with_secret(protection.name_secret) if protection else self._keys

    def _execute(self, command: Command[Any]) -> Any:
        return self._store.execute(command.args, COMMAND_TIMEOUT)


def _for(seconds: float) -> Callable[[], bool]:
    """Return what says whether ``seconds`` from now are not over yet."""
    until = time.monotonic() + seconds
    return lambda: time.monotonic() < until
