"""Where Upstash is, the token it wants, and the keys of a seal, fetched when first needed.

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
from typing import Any

from llm_cache.checks import rest_token, rest_url
from llm_cache.errors import InvalidSettings, LlmCacheError, StoreUnavailable
from llm_cache.keyring import Keyring
from llm_cache.settings import TOKEN, URL, Settings
from llm_cache.unlogged import unlogged
from llm_cache.upstash.aws import boto3_is_needed
from llm_cache.upstash.parameters import get_parameters

AGAIN = 30.0  # seconds from one refresh to the next: a token that is really wrong is no flood

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Credentials:
    """The address of an Upstash database, less a user and a password in it, and a token for it.

    ``seal`` is what seals the entries there, if anything does. Two are equal that lead to the same
    place. Raises ``InvalidSettings`` for an address or a token that is none, by its one of
    ``names``; the error shows neither.
    """

    url: str
    token: str = field(repr=False)
    seal: Any = field(default=None, repr=False, compare=False)
    names: InitVar[tuple[str, str]] = ("url", "token")

    def __post_init__(self, names: tuple[str, str]) -> None:
        object.__setattr__(self, "url", rest_url(names[0], self.url))
        object.__setattr__(self, "token", rest_token(names[1], self.token))


def fetch(settings: Settings, seal: Callable[[Keyring], Any]) -> Credentials:
    """Return the credentials that ``settings`` point at; ``seal`` is made of the keys, if any.

    At most one call of SSM's ``GetParameters``; what the settings hold themselves needs none.
    Raises ``StoreUnavailable`` when SSM does not give them, and ``InvalidSettings``, which names
    the variable and the parameter, for an address, a token or keys that are none.
    """
    variable, keys, parameter = settings.seal_key
    wanted = (settings.url_parameter, settings.token_parameter, parameter)
    named = [name for name in wanted if name]
    values = _from_ssm(named) if named else {}
    url = values.get(settings.url_parameter or "", settings.url)
    token = values.get(settings.token_parameter or "", settings.token)
    if not url or not token:
        raise StoreUnavailable("no URL or no token for Upstash is configured")
    keys = values.get(parameter or "", keys)
    told = _told(variable, parameter, variable)
    made = seal(Keyring.parse(told, keys or "")) if settings.seals else None
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
    from llm_cache.upstash.blocking import fetch as send

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
        from llm_cache.beside import beside

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
