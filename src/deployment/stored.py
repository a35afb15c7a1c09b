"""The secrets that a stack reads by name: checked, and put into SSM.

A value comes from the environment or is typed unseen, and goes to SSM in a request: it is never
printed, and no command line has it.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from deployment.failure import Failure
from deployment.upstash import check_encrypted, ping
from llm_cache._config.value_checks import rest_token, rest_url
from llm_cache._errors import InvalidSettings

# The parameter of the template that names it, where its value may stand, and what it is.
URL, TOKEN, FLUSH_TOKEN = (
    ("UpstashUrlParameter", "UPSTASH_REDIS_REST_URL", "the REST URL of the Upstash database"),
    ("UpstashTokenParameter", "UPSTASH_REDIS_REST_TOKEN", "its REST token"),
    ("UpstashFlushTokenParameter", "UPSTASH_FLUSH_TOKEN", "the REST token to flush with"),
)
WANTED = {key: (variable, what) for key, variable, what in (URL, TOKEN, FLUSH_TOKEN)}
GENERATED = ("SigningKeyParameter", "EncryptionKeyParameter")
SECRETS_MANAGER = "/aws/reference/secretsmanager/"  # where SSM shows what Secrets Manager holds
KEY_BYTES = 32

Ask = Callable[[str], str]
"""Asks for a secret and returns what was typed, unseen."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """The secrets that the parameters of a stack name, and where their values come from.

    ``ask`` is None where nobody can be asked.
    """

    ssm: Any
    parameters: Mapping[str, str]
    environ: Mapping[str, str]
    ask: Ask | None

    def store_missing(self) -> list[str]:
        """Fill the SSM parameters that do not exist; return their names.

        What exists is left as it is. Keys for signing and encryption are made up. Raises Failure,
        before anything is stored, when a value is to be had nowhere or is refused by Upstash.
        """
        missing = self._missing()
        keys = {name: _key() for name in self._named(*GENERATED).values() if name in missing}
        values = self._values(
            {key: it for key, it in self._named(*WANTED).items() if it in missing}
        )
        return self._put({**values, **keys})

    def replace(self) -> list[str]:
        """Replace the address and the tokens of Upstash that are given; return their names."""
        return self._put(self._values(self._named(*WANTED), optional=True), overwrite=True)

    def existing(self) -> list[str]:
        """Return the names of those that exist."""
        return sorted(set(self._named(*WANTED, *GENERATED).values()) - self._missing())

    def _named(self, *keys: str) -> dict[str, str]:
        named = {self.parameters[key]: key for key in reversed(keys) if self.parameters.get(key)}
        return {key: name for name, key in reversed(named.items())}

    def _missing(self) -> set[str]:
        named = self._named(*WANTED, *GENERATED).values()
        looked_for = sorted({name for name in named if not name.startswith(SECRETS_MANAGER)})
        if not looked_for:
            return set()
        return set(self.ssm.get_parameters(Names=looked_for)["InvalidParameters"])

    def _values(self, named: Mapping[str, str], *, optional: bool = False) -> dict[str, str]:
        """Return checked values by SSM name."""
        given = {key: self._value(key, name, optional) for key, name in named.items()}
        absent = [_line(key, named[key]) for key, value in given.items() if not value]
        if absent and (not optional or len(absent) == len(given)):
            raise Failure(
                "\n".join(["missing in SSM:" if not optional else "nothing to store:", *absent])
                + "\nSet the variables, or run the same command on a terminal, which asks for them"
            )
        checked = {key: _checked(key, value) for key, value in given.items() if value}
        self._ping(checked)
        return {named[key]: value for key, value in checked.items()}

    def _value(self, key: str, name: str, optional: bool) -> str:
        variable, what = WANTED[key]
        value = self.environ.get(variable, "").strip()
        if value or self.ask is None:
            return value
        keep = "; empty: leave it" if optional else ""
        return self.ask(f"{name}: {what}{keep} (or set {variable})").strip()

    def _ping(self, checked: Mapping[str, str]) -> None:
        """Ask the database about each new token, or about the stored one if the URL is new."""
        tokens = {key: value for key, value in checked.items() if key != URL[0]}
        if checked and not tokens:
            tokens = {TOKEN[0]: self._stored(TOKEN[0])}
        url = (checked.get(URL[0]) or self._stored(URL[0])) if tokens else ""
        for key, token in tokens.items():
            ping(url, token, WANTED[key][0])

    def _stored(self, key: str) -> str:
        name = self.parameters[key]
        try:
            found = self.ssm.get_parameter(Name=name, WithDecryption=True)
        except self.ssm.exceptions.ParameterNotFound:
            raise Failure(f"missing in SSM:\n{_line(key, name)}") from None
        return str(found["Parameter"]["Value"])

    def _put(self, values: Mapping[str, str], *, overwrite: bool = False) -> list[str]:
        for name, value in values.items():
            self.ssm.put_parameter(Name=name, Value=value, Type="SecureString", Overwrite=overwrite)
        return list(values)


def _line(key: str, name: str) -> str:
    variable, what = WANTED[key]
    return f"  {name}: {what}, in {variable}"


def _checked(key: str, value: str) -> str:
    variable, _ = WANTED[key]
    try:
        if key != URL[0]:
            return rest_token(variable, value)
        url = rest_url(variable, value)
    except InvalidSettings as refused:
        raise Failure(f"{variable} is not accepted: {refused.accepted}") from None
    check_encrypted(variable, url)
    return url


def _key() -> str:
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()
