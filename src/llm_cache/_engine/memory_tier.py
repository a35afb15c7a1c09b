"""The memory tier: recent hits, kept in the process and served without a command."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from llm_cache._checks import above_zero, function


class RememberedEntry(NamedTuple):
    """The text of an entry, the tags of the lookup that read it, and its expiry."""

    text: str
    tags: tuple[str, ...]
    until: float


class MemoryTier:
    """Keep recent hits in the process for ``seconds``, at most ``max_entries`` and ``max_bytes``.

    The least recently used entry is evicted first. A clear of this cache empties the tier at once;
    a clear or a store of another process takes effect within ``seconds``. Threads may share it.
    Raises ``InvalidSettings`` for a bound that is not above 0.
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
        """Forget every entry, and replace the lock: the parent of a forked process may hold it."""
        self._changed = -math.inf  # when this cache last stored, deleted or cleared
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, RememberedEntry] = OrderedDict()
        self._bytes = 0

    def get(self, key: str, tags: tuple[str, ...]) -> str | None:
        """Return the entry of ``key`` if a lookup of the same ``tags`` read it, or None."""
        with self._lock:
            kept = self._kept.get(key)
            if kept is None or kept.tags != tags:
                return None
            if kept.until <= self.clock():
                self._drop(key)
                return None
            self._kept.move_to_end(key)
            return kept.text

    def put(self, key: str, tags: tuple[str, ...], text: str, *, read_at: float) -> None:
        """Keep an entry whose lookup was sent at ``read_at``, by this tier's ``clock``.

        An entry is not kept if it is larger than the tier, or if this cache has stored or cleared
        since ``read_at``: it may be outdated.
        """
        with self._lock:
            self._drop(key)
            if len(text) > self._max_bytes or read_at <= self._changed:
                return
            self._kept[key] = RememberedEntry(text, tags, read_at + self._seconds)
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
