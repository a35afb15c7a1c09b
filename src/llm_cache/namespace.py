"""Clearing without LangChain: for a scheduled function, a shell, an operator."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Mapping

from llm_cache import clearing
from llm_cache.clearing import Reclaimed
from llm_cache.credentials import fetch
from llm_cache.drivers import run
from llm_cache.errors import InvalidSettings
from llm_cache.keys import Keyspace
from llm_cache.operations import Command
from llm_cache.settings import Settings
from llm_cache.store import UpstashStore

COMMAND_TIMEOUT = 5.0  # seconds; nobody waits for an answer here


class CacheNamespace:
    """One namespace of the cache, to be cleared and its memory reclaimed.

    Its methods raise ``StoreError``: who asks for a clear is told the truth.
    """

    def __init__(self, store: UpstashStore, namespace: str) -> None:
        self._store = store
        self._keys = Keyspace(namespace)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> CacheNamespace:
        """Open the namespace that the environment names; raise ``InvalidSettings`` without one."""
        settings = Settings.from_env(environ)
        if settings.namespace is None:
            raise InvalidSettings("LLM_CACHE_NAMESPACE", None, "the namespace to clear")
        return cls(UpstashStore(lambda: fetch(settings)), settings.namespace)

    @property
    def name(self) -> str:
        """The namespace, as its keys begin."""
        return self._keys.prefix

    def clear(self, tag: str | None = None) -> None:
        """Make every answer, or those under ``tag``, a miss, at once and at any size. One command.

        Raises ``InvalidPolicy`` for a tag that no answer can have. The memory comes back as the
        answers expire, or by ``reclaim``.
        """
        run(clearing.clear(self._keys, token=secrets.token_hex(8), tag=tag), self._execute)

    def reclaim(self, *, seconds: float, cursor: str = "0", dry_run: bool = False) -> Reclaimed:
        """Free the memory of cleared answers for about ``seconds``.

        Two commands for every 500 keys of the database. Resumed from the ``cursor`` that the last
        reclaim returned; entries in use are left alone. A dry run counts, and frees nothing.
        """
        proceed = _for(seconds)
        work = clearing.reclaim(self._keys, cursor=cursor, proceed=proceed, dry_run=dry_run)
        return run(work, self._execute)

    def preview(self, tag: str | None = None, *, seconds: float, cursor: str = "0") -> Reclaimed:
        """Count what ``clear`` and a ``reclaim`` after it would free, and do neither.

        That includes what earlier clears left. Costs, resumes and raises as they do.
        """
        work = clearing.preview(self._keys, tag=tag, cursor=cursor, proceed=_for(seconds))
        return run(work, self._execute)

    def _execute(self, command: Command) -> object:
        return self._store.execute(command, COMMAND_TIMEOUT)


def _for(seconds: float) -> Callable[[], bool]:
    """Return what says whether ``seconds`` from now are not over yet."""
    until = time.monotonic() + seconds
    return lambda: time.monotonic() < until
