"""Check the secrets that a stack reads from SSM, and store them.

A value comes from the environment or from a hidden prompt and goes to SSM in a request. It is never
printed and never part of a command line.
"""

import base64
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from llm_cache._config.value_checks import rest_token, rest_url
from llm_cache._errors import InvalidSettings
from llm_cache._stack.command_failure import CommandFailure
from llm_cache._stack.upstash_check import check_encrypted, ping

# Template parameters that name a secret in SSM, with its environment variable and its meaning.
URL, TOKEN = "UpstashUrlParameter", "UpstashTokenParameter"
UPSTASH = {
    URL: ("UPSTASH_REDIS_REST_URL", "the REST URL of the Upstash database"),
    TOKEN: ("UPSTASH_REDIS_REST_TOKEN", "its REST token"),
    "UpstashFlushTokenParameter": ("UPSTASH_FLUSH_TOKEN", "the REST token of the flush function"),
}
GENERATED = ("SigningKeyParameter", "EncryptionKeyParameter")
SECRETS_MANAGER = "/aws/reference/secretsmanager/"  # SSM's prefix for Secrets Manager
KEY_BYTES = 32

Ask = Callable[[str], str]
"""Asks for a secret and returns the hidden input."""


@dataclass(frozen=True, slots=True)
class StackSecrets:
    """The secrets that the parameters of a stack name, and the sources of their values.

    `ask` is None without a terminal.
    """

    ssm: Any
    parameters: Mapping[str, str]
    environ: Mapping[str, str]
    ask: Ask | None

    def store_missing(self) -> list[str]:
        """Store the secrets that SSM lacks; return their names.

        Signing and encryption keys are generated. Raises CommandFailure, before anything is stored,
        if a value is missing or Upstash refuses it.
        """
        missing = self._missing()
        keys = {name: _key() for name in self._named(*GENERATED).values() if name in missing}
        named = {key: name for key, name in self._named(*UPSTASH).items() if name in missing}
        return self._put({**self._values(named), **keys})

    def replace(self) -> list[str]:
        """Replace the URL and the tokens of Upstash that have new values; return their names."""
        return self._put(self._values(self._named(*UPSTASH), optional=True), overwrite=True)

    def existing(self) -> list[str]:
        """Return the names of the secrets in SSM."""
        return sorted(set(self._named(*UPSTASH, *GENERATED).values()) - self._missing())

    def _named(self, *keys: str) -> dict[str, str]:
        """Return the SSM names by parameter, each name once."""
        named = {self.parameters[key]: key for key in reversed(keys) if self.parameters.get(key)}
        return {key: name for name, key in reversed(named.items())}

    def _missing(self) -> set[str]:
        names = set(self._named(*UPSTASH, *GENERATED).values())
        own = sorted(name for name in names if not name.startswith(SECRETS_MANAGER))
        return set(self.ssm.get_parameters(Names=own)["InvalidParameters"]) if own else set()

    def _values(self, named: Mapping[str, str], *, optional: bool = False) -> dict[str, str]:
        """Return checked values by SSM name."""
        values = {key: self._value(key, name, optional) for key, name in named.items()}
        absent = [_line(key, named[key]) for key, value in values.items() if not value]
        if absent and (not optional or len(absent) == len(values)):
            raise CommandFailure(
                "\n".join(["nothing to store:" if optional else "missing in SSM:", *absent])
                + "\nSet these variables, or run the command at a terminal, which asks for them"
            )
        checked = {key: _checked(key, value) for key, value in values.items() if value}
        self._ping(checked)
        return {named[key]: value for key, value in checked.items()}

    def _value(self, key: str, name: str, optional: bool) -> str:
        variable, meaning = UPSTASH[key]
        value = self.environ.get(variable, "").strip()
        if value or self.ask is None:
            return value
        keep = "; empty to keep it" if optional else ""
        return self.ask(f"{name}: {meaning}{keep} (or set {variable})").strip()

    def _ping(self, checked: Mapping[str, str]) -> None:
        """Check each new token with Upstash; for a new URL alone, check the stored token."""
        tokens = {key: value for key, value in checked.items() if key != URL}
        if checked and not tokens:
            tokens = {TOKEN: self._stored(TOKEN)}
        url = (checked.get(URL) or self._stored(URL)) if tokens else ""
        for key, token in tokens.items():
            ping(url, token, UPSTASH[key][0])

    def _stored(self, key: str) -> str:
        name = self.parameters[key]
        try:
            found = self.ssm.get_parameter(Name=name, WithDecryption=True)
        except self.ssm.exceptions.ParameterNotFound:
            raise CommandFailure(f"missing in SSM:\n{_line(key, name)}") from None
        return str(found["Parameter"]["Value"])

    def _put(self, values: Mapping[str, str], *, overwrite: bool = False) -> list[str]:
        for name, value in values.items():
            self.ssm.put_parameter(Name=name, Value=value, Type="SecureString", Overwrite=overwrite)
        return list(values)


def _line(key: str, name: str) -> str:
    variable, meaning = UPSTASH[key]
    return f"  {name}: {meaning}, in {variable}"


def _checked(key: str, value: str) -> str:
    variable, _ = UPSTASH[key]
    try:
        if key != URL:
            return rest_token(variable, value)
        url = rest_url(variable, value)
    except InvalidSettings as refused:
        raise CommandFailure(f"{variable} is not accepted: {refused.accepted}") from None
    check_encrypted(variable, url)
    return url


def _key() -> str:
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()
