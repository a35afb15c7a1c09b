"""The operator's configuration: every value with its environment variable, default and check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from llm_cache._checks import Range
from llm_cache._config.value_checks import header_names, rest_token, rest_url
from llm_cache._config.variables import environment, number, read, variable
from llm_cache._entries.keys import MAX_NAMESPACE, Keyspace
from llm_cache._errors import InvalidSettings
from llm_cache._policy.ttl import (
    DEFAULT_TTL,
    MAX_SECONDS,
    POSITIVE_SECONDS,
    SHARE,
    Ttl,
    TtlBounds,
    check_seconds,
)

URL, TOKEN = "UPSTASH_REDIS_REST_URL", "UPSTASH_REDIS_REST_TOKEN"
NAMESPACE = "LLM_CACHE_NAMESPACE"
SIGNING_KEY, ENCRYPTION_KEY = "LLM_CACHE_SIGNING_KEY", "LLM_CACHE_ENCRYPTION_KEY"
BYTES = Range("a whole number of bytes, 1 or more", least=1, whole=True)


def _namespace(_: str, value: str) -> str:
    return Keyspace(value).prefix


def _keys(name: str, text: str) -> str:
    from llm_cache._entries.keyring import Keyring

    Keyring.parse(name, text)
    return text


def _default_ttl(name: str, value: Ttl) -> Ttl:
    if not callable(value):
        check_seconds(name, value)
    return value


def _header_list(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheConfig:
    """The operator's configuration, checked. Times are seconds.

    Upstash's URL and token, and the keys to sign or encrypt entries with, are values or the names
    of SSM SecureString parameters. The cache reads SSM on first use. A parameter takes
    precedence over a value, and encryption over signing. Raises ``InvalidSettings``, or
    ``InvalidPolicy`` for ``ttl``. The text below each field is its line in
    ``docs/configuration.md``.
    """

    url_parameter: str | None = variable("LLM_CACHE_URL_PARAMETER")
    """Name of the SSM SecureString parameter with Upstash's REST URL."""
    token_parameter: str | None = variable("LLM_CACHE_TOKEN_PARAMETER")
    """Name of the SSM SecureString parameter with Upstash's REST token."""
    url: str | None = variable(URL, secret=True)
    """The URL itself; required without `LLM_CACHE_URL_PARAMETER`."""
    token: str | None = variable(TOKEN, secret=True)
    """The token itself; required without `LLM_CACHE_TOKEN_PARAMETER`."""
    namespace: str | None = variable(NAMESPACE, check=_namespace)
    """Prefix of the keys, such as the stack's name; required, or pass `from_env(namespace=…)`."""
    signing_key_parameter: str | None = variable(f"{SIGNING_KEY}_PARAMETER")
    """Name of the SSM SecureString parameter with the keys to
    [sign entries](security.md#sign-or-encrypt-entries)."""
    signing_key: str | None = variable(SIGNING_KEY, check=_keys, secret=True)
    """The signing keys themselves."""
    encryption_key_parameter: str | None = variable(f"{ENCRYPTION_KEY}_PARAMETER")
    """Name of the SSM SecureString parameter with the keys to
    [encrypt entries](security.md#sign-or-encrypt-entries); no signing key is then used."""
    encryption_key: str | None = variable(ENCRYPTION_KEY, check=_keys, secret=True)
    """The encryption keys themselves."""
    secrets_max_age: float = number("LLM_CACHE_SECRETS_MAX_AGE", 3600.0, POSITIVE_SECONDS.check)
    """Seconds before the cache reads SSM again, in parallel with a request that still uses the
    known secrets."""
    ttl: Ttl | None = number("LLM_CACHE_TTL", None, _default_ttl)  # noqa: RUF009  a field
    """Default TTL in seconds; unset: 30 days."""
    ttl_floor: float = number("LLM_CACHE_TTL_FLOOR", 1.0, POSITIVE_SECONDS.check)
    """Shortest TTL in seconds."""
    ttl_ceiling: float = number("LLM_CACHE_TTL_CEILING", MAX_SECONDS, POSITIVE_SECONDS.check)
    """Longest TTL in seconds; ten years by default."""
    ttl_jitter: float = number("LLM_CACHE_TTL_JITTER", 0.0, SHARE.check)
    """0.1 shortens each TTL by up to a tenth, at random, so that answers stored together do not
    expire together."""
    timeout: float = number("LLM_CACHE_TIMEOUT", 1.0, POSITIVE_SECONDS.check)
    """Seconds that one command may take."""
    lease: float = number("LLM_CACHE_LEASE", 30.0, POSITIVE_SECONDS.check)
    """Seconds after which waiters give up on a leader. Choose less than half of the function's
    timeout, so that a waiter has time to take over (the template sets 50 of 120 for `ask`)."""
    memory: float | None = number("LLM_CACHE_MEMORY", None, POSITIVE_SECONDS.check)
    """Seconds that the [memory tier](single-flight.md#memory-tier) serves a hit; unset:
    no memory tier."""
    max_bytes: int = number("LLM_CACHE_MAX_BYTES", 900_000, BYTES.check)  # key and tags: 20 KB
    """Largest answer, in bytes of a request. A larger answer is not stored: Upstash refuses
    requests above 1 or 10 MB, by plan."""
    ignored_headers: frozenset[str] = variable(
        "LLM_CACHE_IGNORED_HEADERS", default=frozenset(), parse=_header_list, check=header_names
    )
    """HTTP headers that stay out of the key because they do not change an answer, separated by
    commas."""

    @classmethod
    def from_env(
        cls, environ: Mapping[str, str] | None = None, *, namespace: str | None = None
    ) -> CacheConfig:
        """Read the variables (``docs/configuration.md``) of ``environ``, by default the process's.

        ``namespace`` overrides ``LLM_CACHE_NAMESPACE``; one of the two is required. Raises
        ``InvalidSettings`` that names the variable.
        """
        argument: dict[str, Any] = {} if namespace is None else {"namespace": namespace}
        config = cls(**argument, **read(cls, environment(environ), without=argument))
        if config.namespace is None:  # no default: a clear would then delete the whole database
            accepted = f"1 to {MAX_NAMESPACE} printable characters, or the argument namespace"
            raise InvalidSettings(NAMESPACE, None, accepted)
        config.require_location()
        return config

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if value is not each.default:
                checked = each.metadata["variable"].check(each.name, value)
                object.__setattr__(self, each.name, checked)
        if self.ttl_floor > self.ttl_ceiling:
            raise InvalidSettings(
                "ttl_floor", self.ttl_floor, f"at most ttl_ceiling={self.ttl_ceiling}"
            )

    @property
    def keyspace(self) -> Keyspace:
        """The names of the cache's keys."""
        return Keyspace(self.namespace)

    @property
    def ttl_bounds(self) -> TtlBounds:
        """The default TTL and its bounds."""
        default = DEFAULT_TTL if self.ttl is None else self.ttl
        return TtlBounds(default, self.ttl_floor, self.ttl_ceiling, self.ttl_jitter)

    @property
    def encrypts(self) -> bool:
        """Whether entries are encrypted."""
        return bool(self.encryption_key or self.encryption_key_parameter)

    @property
    def protects(self) -> bool:
        """Whether entries are encrypted or signed."""
        return self.encrypts or bool(self.signing_key or self.signing_key_parameter)

    @property
    def protection_key(self) -> tuple[str, str | None, str | None]:
        """The variable of the keys to use, their value, and the SSM parameter that replaces it."""
        if self.encrypts:
            return ENCRYPTION_KEY, self.encryption_key, self.encryption_key_parameter
        return SIGNING_KEY, self.signing_key, self.signing_key_parameter

    @property
    def max_age(self) -> float | None:
        """Seconds before secrets are read again; None if none come from SSM."""
        _, _, key_parameter = self.protection_key
        in_ssm = self.url_parameter or self.token_parameter or key_parameter
        return self.secrets_max_age if in_ssm else None

    def require_location(self) -> None:
        """Raise ``InvalidSettings`` unless the URL and the token are set, or their parameters."""
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
