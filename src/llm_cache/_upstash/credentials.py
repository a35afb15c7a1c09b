"""The address of Upstash, its token, and the keys that protect entries: fetched on first use.

They are never fetched at import nor kept in the environment, so that neither a snapshot nor a
template holds them. They are fetched again when they are old, or refused.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import InitVar, dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from llm_cache._config.cache_config import TOKEN, URL, CacheConfig
from llm_cache._config.value_checks import rest_token, rest_url
from llm_cache._errors import InvalidSettings, LlmCacheError, StoreTimeout, StoreUnavailable
from llm_cache._protocol.daemon_thread import in_daemon_thread
from llm_cache._protocol.drivers import apause, pause
from llm_cache._protocol.effects import Pause
from llm_cache._upstash.aws_environment import boto3_is_needed
from llm_cache._upstash.logging_filters import silence_loggers
from llm_cache._upstash.ssm_parameters import get_parameters

if TYPE_CHECKING:
    from llm_cache._entries.keyring import Keyring

FIRST_RETRY = 1.0  # seconds from a failed first fetch to the next; doubled each time
MIN_REFRESH = 30.0  # seconds between refreshes: a wrong token causes no flood of requests
FIRST_TIMEOUT = 15.0  # seconds to wait for the first fetch: two attempts, the import of boto3

TimeLimit: TypeAlias = Callable[[float], float]
"""Returns how many of the given seconds the caller may spend; 0 or less: none."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Credentials:
    """The address of an Upstash database, without user and password, and its token.

    ``protection`` signs or encrypts the entries there. Credentials with the same address and token
    are equal. Raises ``InvalidSettings``, which names the invalid value by ``names`` and shows
    neither value.
    """

    url: str
    token: str = field(repr=False)
    protection: Any = field(default=None, repr=False, compare=False)
    names: InitVar[tuple[str, str]] = ("url", "token")

    def __post_init__(self, names: tuple[str, str]) -> None:
        object.__setattr__(self, "url", rest_url(names[0], self.url))
        object.__setattr__(self, "token", rest_token(names[1], self.token))


def fetch(settings: CacheConfig, protection: Callable[[Keyring], Any] | None) -> Credentials:
    """Return the credentials that ``settings`` name, with the ``protection`` made of their keys.

    One call of SSM's ``GetParameters``; none if the settings hold the values. Raises
    ``StoreUnavailable`` if SSM fails, and ``InvalidSettings``, which names the variable and the
    parameter, for an invalid address, token or key.
    """
    variable, keys, parameter = settings.protection_key
    parameters = (settings.url_parameter, settings.token_parameter, parameter)
    in_ssm = [name for name in parameters if name]
    values = _from_ssm(in_ssm) if in_ssm else {}
    url = values.get(settings.url_parameter or "", settings.url)
    token = values.get(settings.token_parameter or "", settings.token)
    if not url or not token:
        raise StoreUnavailable(f"no URL or no token for Upstash: set {URL} and {TOKEN}")
    made = None
    if protection and settings.protects:
        from llm_cache._entries.keyring import Keyring

        keys = values.get(parameter or "", keys)
        made = protection(Keyring.parse(_source(variable, parameter, variable), keys or ""))
    names = (
        _source("LLM_CACHE_URL", settings.url_parameter, URL),
        _source("LLM_CACHE_TOKEN", settings.token_parameter, TOKEN),
    )
    return Credentials(url, token, made, names)


def _source(variable: str, parameter: str | None, otherwise: str) -> str:
    """Return where a value comes from, for an error: an SSM parameter, else a variable."""
    return f"{variable}_PARAMETER ({parameter})" if parameter else otherwise


def _from_ssm(names: list[str]) -> dict[str, str]:
    """Return the parameters' values; on Lambda without boto3, which costs a cold start 300 ms."""
    if boto3_is_needed(os.environ):
        return _by_boto3(names)
    from llm_cache._upstash.blocking_pool import send_request

    return get_parameters(names, os.environ, send_request)


def _by_boto3(names: list[str]) -> dict[str, str]:
    try:
        from aws_lambda_powertools.utilities.parameters import SSMProvider
        from botocore.config import Config
    except ImportError as error:
        needed = 'boto3 is missing: pip install "lambda-llm-cache[aws]"'
        raise InvalidSettings(
            "SSM parameters", names, f"{needed}, or set {URL} and {TOKEN}"
        ) from error
    # botocore's own defaults wait 60 seconds, five times: longer than any invocation has.
    config = Config(connect_timeout=2, read_timeout=3, retries={"total_max_attempts": 2})
    try:
        with silence_loggers("botocore.parsers"):  # at DEBUG it logs the reply, with the token
            found = SSMProvider(boto_config=config).get_parameters_by_name(
                {name: {} for name in names}, decrypt=True, raise_on_error=True
            )
    except Exception as error:
        kind = type(error).__name__
        raise StoreUnavailable(f"SSM did not give {', '.join(names)}: {kind}") from error
    return {name: str(value) for name, value in found.items()}


class RefreshableCredentials:
    """Credentials that are fetched on first use, and again when they may have changed.

    ``max_age``: seconds after which they are fetched again, while callers still get the known ones;
    None: they never change, and ``fetch`` is quick. Threads and event loops may share them.

    - Each fetch runs in its own thread, one at a time; callers wait only for the first one.
    - A failed first fetch is retried after ``FIRST_RETRY`` seconds, then after twice as many, up to
      ``MIN_REFRESH``. Until then callers get its error at once.
    - A refresh happens at most once in ``MIN_REFRESH`` seconds. It replaces everything, the keys
      of the protection too. A failed refresh is logged and replaces nothing.
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
        self._began = self._fetched = -math.inf  # when the last fetch began, and succeeded
        self._next = -math.inf  # when the next fetch may begin
        self._backoff = FIRST_RETRY
        self._failure: Exception | None = None  # of the last first fetch
        self._fetching: Future[None] = Future()
        self._fetching.set_result(None)

    def get(self, limit: TimeLimit = float) -> Credentials:
        """Return them; wait for the first fetch for ``limit(FIRST_TIMEOUT)`` seconds at most.

        Raises the errors of ``fetch``, or ``StoreTimeout``.
        """
        if waiting := self._first_fetch(limit):
            pause(waiting)
        return self._result()

    async def aget(self, limit: TimeLimit = float) -> Credentials:
        """Return them, as ``get`` does, without blocking the event loop."""
        if waiting := self._first_fetch(limit):
            await apause(waiting)
        return self._result()

    def refresh(self) -> Future[None]:
        """Fetch them again, unless a refresh was too recent; return a future of its end."""
        with self._lock:
            if self._max_age is not None:
                self._begin(self._fetch_again)
            return self._fetching

    def _first_fetch(self, limit: TimeLimit) -> Pause | None:
        """Return the wait for the first fetch, which is begun if necessary; None: it is done."""
        with self._lock:
            if self.known is None and self._max_age is None:
                self._keep(self._fetch())
            elif self.known is None:
                if (seconds := limit(FIRST_TIMEOUT)) > 0:
                    self._begin(self._fetch_first)
                left = self._began + FIRST_TIMEOUT - self._clock()
                return Pause(max(min(seconds, left), 0.0), self._fetching)
            elif self._max_age is not None and self._clock() - self._fetched >= self._max_age:
                self._begin(self._fetch_again)
        return None

    def _result(self) -> Credentials:
        if self.known is not None:
            return self.known
        if self._failure and self._fetching.done():
            raise self._failure.with_traceback(None)  # callers share it: each adds its own frames
        raise StoreTimeout("the secrets were not read within the time allowed")

    def _begin(self, work: Callable[[], None]) -> None:
        if self._fetching.done() and self._clock() >= self._next:
            self._began, self._fetching = self._clock(), in_daemon_thread(work)

    def _fetch_first(self) -> None:
        try:
            self._keep(self._fetch())
        except Exception as error:  # noqa: BLE001  raised by each caller that waits for it
            self._failure = error
            self._next = self._clock() + self._backoff
            self._backoff = min(2 * self._backoff, MIN_REFRESH)

    def _fetch_again(self) -> None:
        self._next = self._clock() + MIN_REFRESH
        try:
            self._keep(self._fetch())
        except Exception as error:  # noqa: BLE001  the known ones may still be valid
            reason = error if isinstance(error, LlmCacheError) else type(error).__name__
            logger.warning("the secrets were not refreshed, the known ones stay: %s", reason)

    def _keep(self, found: Credentials) -> None:
        self._fetched, self.known = self._clock(), found
