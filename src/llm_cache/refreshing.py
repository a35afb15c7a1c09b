"""Secrets that may have changed where they are kept: read anew when they are old, or refused."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

from llm_cache.beside import beside
from llm_cache.credentials import Credentials
from llm_cache.errors import LlmCacheError

AGAIN = 30.0  # seconds from one refresh to the next: a token that is really wrong is no flood

logger = logging.getLogger(__name__)


class RefreshableCredentials:
    """Credentials that are fetched when first needed, and again when they may have changed.

    ``max_age``: the seconds after which they are fetched again, while those known serve on; None:
    they never change. A refresh happens beside whoever needs them, and at most one in ``AGAIN``
    seconds. Those that it brings replace all that was known, the keys of a seal too; one that fails
    is logged, and replaces nothing. Threads may share it.
    """

    def __init__(
        self,
        fetch: Callable[[], Credentials],
        max_age: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.known: Credentials | None = None
        self._fetch = fetch
        self._max_age = max_age
        self._clock = clock
        self._lock = threading.Lock()
        self._fetched = self._tried = -math.inf
        self._refresh: Future[None] = Future()
        self._refresh.set_result(None)

    def get(self) -> Credentials:
        """Return them. Blocks until they were fetched once; raises what ``fetch`` does."""
        with self._lock:
            if self.known is None:
                return self._know(self._fetch())
            if self._max_age is not None and self._clock() - self._fetched >= self._max_age:
                self._begin()
            return self.known

    def refresh(self) -> Future[None]:
        """Fetch them again, unless that was done a moment ago; return what is done afterwards."""
        with self._lock:
            if self._max_age is not None:
                self._begin()
            return self._refresh

    def _begin(self) -> None:
        if self._clock() - self._tried >= AGAIN:
            self._tried = self._clock()
            self._refresh = beside(self._fetch_again)

    def _fetch_again(self) -> None:
        try:
            found = self._fetch()
        except Exception as error:  # noqa: BLE001  those that are known may serve on
            why = error if isinstance(error, LlmCacheError) else type(error).__name__
            logger.warning("the secrets were not read anew: %s", why)
            return
        with self._lock:
            self._know(found)

    def _know(self, found: Credentials) -> Credentials:
        self.known, self._fetched = found, self._clock()
        return found
