"""A first tier in the warm process: entries seen a moment ago, served without a command."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from llm_cache._checks import above_zero, function


class Kept(NamedTuple):
    """An entry's text, the tags of the lookup that saw it, and until when it is kept."""

    text: str
    tags: tuple[str, ...]
    until: float


class MemoryTier:
    """Keeps the latest hits for ``seconds`` each, at most ``max_entries`` and ``max_bytes``.

    A clear by this cache empties it at once; one by another process is late by ``seconds`` at
    most, and so is an answer that another overwrites. The least recently used goes first. Threads
    may share it. Raises ``InvalidSettings`` for a bound that is not positive.
    """

    def __init__(
        self,
        *,
        seconds: float,
        max_entries: int = 1000,
        max_bytes: int = 16_000_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        bounds = {"seconds": seconds, "max_entries": max_entries, "max_bytes": max_bytes}
        for name, value in bounds.items():
            above_zero(f"memory {name}", value)
        self._seconds = seconds
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self.clock = function("memory clock", clock, "seconds")
        self.start_fresh()

    def start_fresh(self) -> None:
        """Forget every entry; in a process that was forked, the lock of the parent too."""
        self._changed = -math.inf  # when this cache last stored, deleted or cleared
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._bytes = 0

    def get(self, key: str, tags: tuple[str, ...]) -> str | None:
        """Return what was seen under ``key`` by a lookup of the same ``tags``."""
        with self._lock:
            kept = self._kept.get(key)
            if kept is None or kept.tags != tags:
                return None
            if kept.until <= self.clock():
                self._drop(key)
                return None
            self._kept.move_to_end(key)
            return kept.text

    def put(self, key: str, tags: tuple[str, ...], text: str, *, asked_at: float) -> None:
        """Keep an entry that Redis was asked for at ``asked_at``, by this tier's ``clock``.

        One that is too large for the tier is left out, and so is one that was asked for before a
        store or a clear of this cache: it may be what was there before that.
        """
        with self._lock:
            self._drop(key)
            if len(text) > self._max_bytes or asked_at <= self._changed:
                return
            self._kept[key] = Kept(text, tags, asked_at + self._seconds)
            self._bytes += len(text)
            while self._bytes > self._max_bytes or len(self._kept) > self._max_entries:
                self._drop(next(iter(self._kept)))

    def discard(self, key: str) -> None:
        """Forget one entry."""
        with self._lock:
            self._drop(key)
            self._changed = self.clock()

    def clear(self) -> None:
        """Forget every entry."""
        with self._lock:
            self._kept.clear()
            self._bytes = 0
            self._changed = self.clock()

    def _drop(self, key: str) -> None:
        if kept := self._kept.pop(key, None):
            self._bytes -= len(kept.text)  # ASCII, so as many bytes
