"""The secrets that a stack reads by name: put into SSM where they are missing.

A value comes from the environment or is typed unseen, and goes to SSM in a request: it is never
printed, and no command line has it.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from deployment.failure import Failure

# The parameter of the template that names it, where its value may stand, and what to ask for.
WANTED = {
    "UpstashUrlParameter": ("UPSTASH_REDIS_REST_URL", "the REST URL of the Upstash database"),
    "UpstashTokenParameter": ("UPSTASH_REDIS_REST_TOKEN", "its REST token"),
    "UpstashFlushTokenParameter": ("UPSTASH_FLUSH_TOKEN", "the REST token to flush with"),
}
GENERATED = ("SigningKeyParameter", "EncryptionKeyParameter")
SECRETS_MANAGER = "/aws/reference/secretsmanager/"  # where SSM shows what Secrets Manager holds
KEY_BYTES = 32

Ask = Callable[[str], str]
"""Asks a question and returns what was typed, unseen; where nobody can be asked, raises Failure."""


def store_what_is_missing(
    ssm: Any, parameters: Mapping[str, str], environ: Mapping[str, str], ask: Ask
) -> list[str]:
    """Fill the SSM parameters that the stack names and that do not exist; return their names.

    What exists is left as it is, and is not read. A key is made up. Raises Failure when a value is
    to be had nowhere.
    """
    named = {key: parameters[key] for key in (*WANTED, *GENERATED) if parameters.get(key)}
    missing, stored = _missing(ssm, set(named.values())), list[str]()
    for key, name in named.items():
        if name in missing and name not in stored:
            value = _key() if key in GENERATED else _value(key, name, environ, ask)
            ssm.put_parameter(Name=name, Value=value, Type="SecureString")
            stored.append(name)
    return stored


def _missing(ssm: Any, names: set[str]) -> set[str]:
    looked_for = sorted(name for name in names if not name.startswith(SECRETS_MANAGER))
    return set(ssm.get_parameters(Names=looked_for)["InvalidParameters"]) if looked_for else set()


def _key() -> str:
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def _value(key: str, name: str, environ: Mapping[str, str], ask: Ask) -> str:
    variable, what = WANTED[key]
    value = environ.get(variable, "") or ask(f"{name} is missing: {what} (or set {variable})")
    if not value.strip():
        raise Failure(f"nothing was given for {name}")
    return value.strip()
