"""Where Upstash is, the token it wants, and the keys of a protection, fetched when first needed.

Never at import and never kept in the environment: neither a snapshot nor a template holds them.
They are read anew when they are old, or refused.
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
from typing import TYPE_CHECKING, Any

from llm_cache._config.cache_config import TOKEN, URL, CacheConfig
from llm_cache._config.value_checks import rest_token, rest_url
from llm_cache._errors import InvalidSettings, LlmCacheError, StoreTimeout, StoreUnavailable
from llm_cache._protocol.daemon_thread import in_daemon_thread
from llm_cache._protocol.drivers import apause, pause
from llm_cache._protocol.effects import Pause
from llm_cache._upstash.aws_environment import boto3_is_needed
from llm_cache._upstash.quiet_logs import unlogged
from llm_cache._upstash.ssm_parameters import get_parameters

if TYPE_CHECKING:
    from llm_cache._entries.keyring import Keyring

AGAIN = 30.0  # seconds from one refresh to the next: a token that is really wrong is no flood
FIRST_AGAIN = 1.0  # seconds from a failed first fetch to the next; doubled each time, to AGAIN
LONGEST = 15.0  # seconds that a caller waits for the first fetch: two attempts, boto3's import

Within = Callable[[float], float]
"""Returns how many of so many seconds the caller has; 0 or less: none."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Credentials:
    """The address of an Upstash database, less a user and a password in it, and a token for it.

    ``protection`` signs or encrypts the entries there. Credentials with the same address and token
    are equal. Raises ``InvalidSettings`` that names the invalid one by ``names`` and shows neither.
    """

    url: str
    token: str = field(repr=False)
    protection: Any = field(default=None, repr=False, compare=False)
    names: InitVar[tuple[str, str]] = ("url", "token")

    def __post_init__(self, names: tuple[str, str]) -> None:
        object.__setattr__(self, "url", rest_url(names[0], self.url))
        object.__setattr__(self, "token", rest_token(names[1], self.token))


def fetch(settings: CacheConfig, protection: Callable[[Keyring], Any] | None) -> Credentials:
    """Return the credentials that ``settings`` point at, and the ``protection`` of their keys.

    At most one call of SSM's ``GetParameters``; what the settings hold themselves needs none.
    Raises ``StoreUnavailable`` when SSM does not give them, and ``InvalidSettings``, which names
    the variable and the parameter, for an address, a token or keys that are none.
    """
    variable, keys, parameter = settings.protection_key
    wanted = (settings.url_parameter, settings.token_parameter, parameter)
    named = [name for name in wanted if name]
    values = _from_ssm(named) if named else {}
    url = values.get(settings.url_parameter or "", settings.url)
    token = values.get(settings.token_parameter or "", settings.token)
    if not url or not token:
        raise StoreUnavailable("no URL or no token for Upstash is configured")
    made = None
    if protection and settings.protects:
        from llm_cache._entries.keyring import Keyring

        keys = values.get(parameter or "", keys)
        made = protection(Keyring.parse(_told(variable, parameter, variable), keys or ""))
    names = (
        _told("LLM_CACHE_URL", settings.url_parameter, URL),
        _told("LLM_CACHE_TOKEN", settings.token_parameter, TOKEN),
    )
    return Credentials(url, token, made, names)


def _told(variable: str, parameter: str | None, otherwise: str) -> str:
    return f"{variable}_PARAMETER ({parameter})" if parameter else otherwise


def _from_ssm(names: list[str]) -> dict[str, str]:
    """Return the parameters' values; on Lambda without boto3, which costs a cold start 300 ms."""
    if boto3_is_needed(os.environ):
        return _by_boto3(names)
    from llm_cache._upstash.blocking import fetch as send

    return get_parameters(names, os.environ, send)


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
        with unlogged("botocore.parsers"):  # at DEBUG it logs the reply, and the token in it
            found = SSMProvider(boto_config=config).get_parameters_by_name(
                {name: {} for name in names}, decrypt=True, raise_on_error=True
            )
    except Exception as error:
        kind = type(error).__name__
        raise StoreUnavailable(f"SSM did not give {', '.join(names)}: {kind}") from error
    return {name: str(value) for name, value in found.items()}


class RefreshableCredentials:
    """Credentials that are fetched when first needed, and again when they may have changed.

    ``max_age``: seconds after which they are fetched again, while the known ones serve on; None:
    they never change, and ``fetch`` is quick. Threads and event loops may share them.

    - Every fetch runs in a thread of its own, one at a time; callers wait for the first one only.
    - A first fetch that failed is tried again after ``FIRST_AGAIN`` seconds, then after twice as
      many, and so on to ``AGAIN``. Until then callers get its error at once.
    - A refresh happens at most once in ``AGAIN`` seconds. It replaces all that was known, the keys
      of a protection too. A refresh that fails is logged and replaces nothing.
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
        self._next = -math.inf  # when another may begin
        self._wait = FIRST_AGAIN
        self._failure: Exception | None = None  # of the last first fetch
        self._fetching: Future[None] = Future()
        self._fetching.set_result(None)

    def get(self, within: Within = float) -> Credentials:
        """Return them; wait for the first fetch for ``within(LONGEST)`` seconds at most.

        Raises what ``fetch`` does, or ``StoreTimeout``.
        """
        if waiting := self._first_fetch(within):
            pause(waiting)
        return self._result()

    async def aget(self, within: Within = float) -> Credentials:
        """Return them, as ``get`` does, without blocking the event loop."""
        if waiting := self._first_fetch(within):
            await apause(waiting)
        return self._result()

    def refresh(self) -> Future[None]:
        """Fetch them again, unless that was done a moment ago; return what is done afterwards."""
        with self._lock:
            if self._max_age is not None:
                self._begin(self._fetch_again)
            return self._fetching

    def _first_fetch(self, within: Within) -> Pause | None:
        """Return the wait for the first fetch, begun if need be; None: it has succeeded."""
        with self._lock:
            if self.known is None and self._max_age is None:
                self._know(self._fetch())
            elif self.known is None:
                if (seconds := within(LONGEST)) > 0:
                    self._begin(self._fetch_first)
                left = self._began + LONGEST - self._clock()
                return Pause(max(min(seconds, left), 0.0), self._fetching)
            elif self._max_age is not None and self._clock() - self._fetched >= self._max_age:
                self._begin(self._fetch_again)
        return None

    def _result(self) -> Credentials:
        if self.known is not None:
            return self.known
        if self._failure and self._fetching.done():
            raise self._failure.with_traceback(None)  # callers share it: each has its own frames
        raise StoreTimeout("the secrets were not read in the time allowed")

    def _begin(self, work: Callable[[], None]) -> None:
        if self._fetching.done() and self._clock() >= self._next:
            self._began, self._fetching = self._clock(), in_daemon_thread(work)

    def _fetch_first(self) -> None:
        try:
            self._know(self._fetch())
        except Exception as error:  # noqa: BLE001  it is raised where the callers wait
            self._failure = error
            self._next = self._clock() + self._wait
            self._wait = min(2 * self._wait, AGAIN)

    def _fetch_again(self) -> None:
        self._next = self._clock() + AGAIN
        try:
            self._know(self._fetch())
        except Exception as error:  # noqa: BLE001  those that are known may serve on
            why = error if isinstance(error, LlmCacheError) else type(error).__name__
            logger.warning("the secrets were not read anew: %s", why)

    def _know(self, found: Credentials) -> None:
        self._fetched, self.known = self._clock(), found
