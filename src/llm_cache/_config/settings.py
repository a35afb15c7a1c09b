"""What the operator configures, read once from the environment and checked."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from llm_cache._checks import number
from llm_cache._config.checks import rest_token, rest_url
from llm_cache._entries.keys import MAX_NAMESPACE, is_namespace
from llm_cache._errors import InvalidSettings, InvalidValue
from llm_cache._policy.ttl import DEFAULT_TTL, MAX_SECONDS, TtlBounds, positive, seconds, share

T = TypeVar("T")
URL, TOKEN = "UPSTASH_REDIS_REST_URL", "UPSTASH_REDIS_REST_TOKEN"
NAMESPACE = "LLM_CACHE_NAMESPACE"
SIGNING_KEY, ENCRYPTION_KEY = "LLM_CACHE_SIGNING_KEY", "LLM_CACHE_ENCRYPTION_KEY"
DEFAULT_TIMEOUT = 1.0
DEFAULT_LEASE = 30.0
DEFAULT_SECRETS_MAX_AGE = 3600.0
DEFAULT_MAX_BYTES = 900_000  # Upstash's smaller limit of a request is 1 MB; key and tags need 20 KB


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The operator's configuration.

    Where Upstash is comes either from ``url`` and ``token``, or from the names of two SSM
    SecureString parameters, ``url_parameter`` and ``token_parameter``, read on first use. So do the
    keys of a protection; beside those to encrypt with, those to sign with are not used. Times are
    seconds. The keys begin with ``namespace``, so a clear leaves the rest of the database alone.
    """

    namespace: str
    url: str | None = field(default=None, repr=False)  # somebody may have put a password in it
    token: str | None = field(default=None, repr=False)
    url_parameter: str | None = None
    token_parameter: str | None = None
    signing_key: str | None = field(default=None, repr=False)
    signing_key_parameter: str | None = None
    encryption_key: str | None = field(default=None, repr=False)
    encryption_key_parameter: str | None = None
    ttl: TtlBounds = field(default_factory=TtlBounds)
    timeout: float = DEFAULT_TIMEOUT
    lease: float = DEFAULT_LEASE
    memory: float | None = None
    max_bytes: int = DEFAULT_MAX_BYTES
    secrets_max_age: float = DEFAULT_SECRETS_MAX_AGE
    ignored_headers: frozenset[str] = frozenset()

    @classmethod
    def from_env(
        cls, environ: Mapping[str, str] | None = None, *, namespace: str | None = None
    ) -> Settings:
        """Read the settings; raise ``InvalidSettings`` that names the variable.

        ``environ``: the variables; None: those of the process. ``namespace`` takes the place of
        ``LLM_CACHE_NAMESPACE``; one of the two is required.

        - ``LLM_CACHE_URL_PARAMETER``, ``LLM_CACHE_TOKEN_PARAMETER``: names of SSM parameters; or
          ``UPSTASH_REDIS_REST_URL``, ``UPSTASH_REDIS_REST_TOKEN``: the values, where no AWS is at
          hand
        - ``LLM_CACHE_SIGNING_KEY_PARAMETER`` or ``LLM_CACHE_ENCRYPTION_KEY_PARAMETER``, as names
          too, or the values in ``LLM_CACHE_SIGNING_KEY``, ``LLM_CACHE_ENCRYPTION_KEY``: see
          ``Signing`` and ``Encryption``; empty: neither
        - ``LLM_CACHE_SECRETS_MAX_AGE``: the seconds after which what SSM said is asked for again
        - ``LLM_CACHE_NAMESPACE``: what the keys begin with, such as the stack's name
        - ``LLM_CACHE_TTL``, ``LLM_CACHE_TTL_FLOOR``, ``LLM_CACHE_TTL_CEILING``: seconds
        - ``LLM_CACHE_TTL_JITTER``: the share by which a TTL may be shortened at random
        - ``LLM_CACHE_TIMEOUT``: the seconds one command may take
        - ``LLM_CACHE_LEASE``: the seconds after which nobody waits for another's answer any more
        - ``LLM_CACHE_MEMORY``: the seconds a hit is kept in the process; empty: not at all
        - ``LLM_CACHE_MAX_BYTES``: the bytes an answer may take in the request that stores it
        - ``LLM_CACHE_IGNORED_HEADERS``: names of HTTP headers that stay out of keys, with commas
        """
        environ = environment(environ)
        settings = cls(
            url=environ.get(URL),
            token=environ.get(TOKEN),
            url_parameter=environ.get("LLM_CACHE_URL_PARAMETER"),
            token_parameter=environ.get("LLM_CACHE_TOKEN_PARAMETER"),
            signing_key=_keys(environ, SIGNING_KEY),
            signing_key_parameter=environ.get(f"{SIGNING_KEY}_PARAMETER"),
            encryption_key=_keys(environ, ENCRYPTION_KEY),
            encryption_key_parameter=environ.get(f"{ENCRYPTION_KEY}_PARAMETER"),
            namespace=_namespace(environ, namespace),
            ttl=TtlBounds(
                _read(environ, "LLM_CACHE_TTL", _seconds, DEFAULT_TTL),
                _read(environ, "LLM_CACHE_TTL_FLOOR", _seconds, 1.0),
                _read(environ, "LLM_CACHE_TTL_CEILING", _seconds, float(MAX_SECONDS)),
                _read(environ, "LLM_CACHE_TTL_JITTER", _share, 0.0),
            ),
            timeout=_read(environ, "LLM_CACHE_TIMEOUT", _positive_seconds, DEFAULT_TIMEOUT),
            lease=_read(environ, "LLM_CACHE_LEASE", _positive_seconds, DEFAULT_LEASE),
            memory=_read(environ, "LLM_CACHE_MEMORY", _positive_seconds, None),
            max_bytes=_read(environ, "LLM_CACHE_MAX_BYTES", _positive_bytes, DEFAULT_MAX_BYTES),
            secrets_max_age=_read(
                environ, "LLM_CACHE_SECRETS_MAX_AGE", _positive_seconds, DEFAULT_SECRETS_MAX_AGE
            ),
            ignored_headers=_read(environ, "LLM_CACHE_IGNORED_HEADERS", _header_names, frozenset()),
        )
        settings.require_location()
        return settings

    @property
    def encrypts(self) -> bool:
        """Whether answers are to be encrypted."""
        return bool(self.encryption_key or self.encryption_key_parameter)

    @property
    def protects(self) -> bool:
        """Whether entries are to be encrypted or signed."""
        return self.encrypts or bool(self.signing_key or self.signing_key_parameter)

    @property
    def protection_key(self) -> tuple[str, str | None, str | None]:
        """The variable of the keys to use, their value, and the parameter that is read instead."""
        if self.encrypts:
            return ENCRYPTION_KEY, self.encryption_key, self.encryption_key_parameter
        return SIGNING_KEY, self.signing_key, self.signing_key_parameter

    @property
    def max_age(self) -> float | None:
        """How old the secrets get, in seconds; None where none is read from elsewhere."""
        _, _, key = self.protection_key
        elsewhere = self.url_parameter or self.token_parameter or key
        return self.secrets_max_age if elsewhere else None

    def require_location(self) -> None:
        """Raise ``InvalidSettings`` unless Upstash's URL and token are there, or in SSM."""
        for name, value, parameter, check in (
            ("URL", self.url, self.url_parameter, rest_url),
            ("TOKEN", self.token, self.token_parameter, rest_token),
        ):
            variable = f"UPSTASH_REDIS_REST_{name}"
            if not value and not parameter:
                names = f"LLM_CACHE_{name}_PARAMETER or {variable}"
                raise InvalidSettings(names, None, "one of the two must be set")
            if not parameter:
                check(variable, value)


def environment(environ: Mapping[str, str] | None) -> Mapping[str, str]:
    """Return ``environ``; None: the variables of the process.

    A default argument of ``os.environ`` would print every secret in ``help()``.
    """
    return os.environ if environ is None else environ


def _read(environ: Mapping[str, str], name: str, parse: Callable[[str], T], default: T) -> T:
    text = environ.get(name, "").strip()
    if not text:
        return default
    try:
        return parse(text)
    except InvalidValue as error:
        raise InvalidSettings(name, text, error.accepted) from error
    except ValueError as error:
        raise InvalidSettings(name, text, "a number of seconds") from error


def _keys(environ: Mapping[str, str], name: str) -> str | None:
    """Return keys that can be read; no part of them that is in a message is theirs."""
    text = environ.get(name, "").strip()
    if text:
        from llm_cache._entries.keyring import Keyring

        Keyring.parse(name, text)
    return text or None


def _seconds(text: str) -> float:
    return seconds("seconds", float(text))


def _share(text: str) -> float:
    try:
        return share("share", float(text))
    except ValueError:
        return share("share", text)  # type: ignore[arg-type]  # refused by its own words


def _positive_seconds(text: str) -> float:
    return positive("seconds", float(text))


def positive_bytes(name: str, value: int) -> int:
    """Return ``value`` if it is a size of 1 byte or more; raise ``InvalidSettings`` otherwise."""
    accepted = "a whole number of bytes, 1 or more"
    return number(name, value, accepted, lambda given: isinstance(given, int) and given >= 1)


def _positive_bytes(text: str) -> int:
    return positive_bytes("bytes", int(text) if text.isdecimal() else 0)


def price(environ: Mapping[str, str], name: str) -> float:
    """Return the dollars that a variable says, 0 without it; raise ``InvalidSettings``."""
    text = environ.get(name, "").strip() or "0"
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise InvalidSettings(name, text, "dollars for a million tokens, 0 or more")
    return value


def _header_names(text: str) -> frozenset[str]:
    from llm_cache._config.checks import header_names

    return header_names("headers", [name.strip() for name in text.split(",")])


def _namespace(environ: Mapping[str, str], given: str | None) -> str:
    """Return the namespace that is given, else the variable's; raise ``InvalidSettings``.

    There is no default: without a namespace, a clear would empty the whole database.
    """
    name = environ.get(NAMESPACE, "").strip() if given is None else given
    if not is_namespace(name):
        source = NAMESPACE if given is None else "namespace"
        accepted = f"1 to {MAX_NAMESPACE} printable characters, in the variable {NAMESPACE}"
        raise InvalidSettings(source, name or given, f"{accepted} or the argument namespace")
    return name
