"""Check what the token may do: each command is tried once, on keys that do not exist."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from llm_cache._doctor.database import DENIED, Database, ProbeKeys
from llm_cache._doctor.finding import Finding, failed, passed, unknown
from llm_cache._doctor.located import Located
from llm_cache._doctor.roles import FUNCTIONS, ROLES, Role
from llm_cache._errors import QuotaExceeded, StoreError, StoreRefused
from llm_cache._protocol.effects import CommandArgs

CHECK = "permissions"
ACL = "llm-cache doctor --acl prints users with these rights"
# SET XX stores nothing, because the key does not exist.
PROBES: dict[str, Callable[[str], CommandArgs]] = {
    "mget": lambda key: ("MGET", key),
    "set": lambda key: ("SET", key, "1", "XX", "PX", 1),
    "unlink": lambda key: ("UNLINK", key),
    "pttl": lambda key: ("PTTL", key),
    "getrange": lambda key: ("GETRANGE", key, 0, 0),
    "strlen": lambda key: ("STRLEN", key),
    "exists": lambda key: ("EXISTS", key),
    "eval": lambda key: ("EVAL", "return 1", 1, key),
    "scan": lambda key: ("SCAN", 0, "MATCH", key, "COUNT", 1),
    "ping": lambda _: ("PING",),
    "time": lambda _: ("TIME",),
    "info": lambda _: ("INFO", "memory"),
    "dbsize": lambda _: ("DBSIZE",),
}


class Denied(NamedTuple):
    """What a token may not do: commands, and patterns of keys."""

    commands: frozenset[str]
    keys: frozenset[str]

    def missing(self, role: Role) -> list[str]:
        """Return what a role needs and the token may not do."""
        keys = [f"keys {end}" for end in role.keys if end in self.keys]
        return keys + [command for command in role.commands if command in self.commands]


def check_permissions(database: Database, probe: ProbeKeys, token: Located) -> Finding:
    """Return which work the token allows. One command each: 13 commands and 4 patterns of keys."""
    try:
        denied = _try(database, probe)
    except StoreError as error:
        return unknown(CHECK, f"not checked: {error}")
    return _judge(denied, probe, token)


def _try(database: Database, probe: ProbeKeys) -> Denied:
    keys = {
        end
        for end, key in probe.by_pattern.items()
        if not _allowed(database, PROBES["mget"](key), of_key=True)
    }
    commands = {name for name, args in PROBES.items() if not _allowed(database, args(probe.entry))}
    return Denied(frozenset(commands), frozenset(keys))


def _allowed(database: Database, args: CommandArgs, *, of_key: bool = False) -> bool:
    """Return whether a command is allowed; every error but a denial means that it is.

    ``of_key``: only the denial of a key counts.
    """
    try:
        database.execute(args)
    except QuotaExceeded:
        raise
    except StoreRefused as error:
        denied = str(error).startswith(DENIED)
        return not denied or (of_key and "access" not in str(error))
    return True


def _judge(denied: Denied, probe: ProbeKeys, token: Located) -> Finding:
    missing = {role: denied.missing(role) for role in ROLES}
    able = [role for role in ROLES if not missing[role]]
    if able:
        can = "; ".join(role.work for role in able)
        lacks = [f"{role.work} (no {', '.join(missing[role])})" for role in ROLES if missing[role]]
        fine = " (fine for functions)" if FUNCTIONS in able else ""
        cannot = f". It cannot: {'; '.join(lacks)}{fine}" if lacks else ""
        return passed(CHECK, f"the token can: {can}{cannot}")
    return _refused(denied, missing, probe.keys.prefix, token)


def _refused(
    denied: Denied, missing: dict[Role, list[str]], namespace: str, token: Located
) -> Finding:
    if "entry:*" in denied.keys:
        text = f"the token's user may not use the keys of the namespace {namespace}"
        return failed(CHECK, text, f"set LLM_CACHE_NAMESPACE to its namespace; else {ACL}")
    if "mget" not in denied.commands and {"set", "unlink", "eval"} <= denied.commands:
        text = "this is a read-only token: hits work, but nothing is stored or cleared"
        return failed(CHECK, text, f"use the standard token. {token.remedy}; or {ACL}")
    lacks = "; ".join(f"{role.work}: no {', '.join(missing[role])}" for role in ROLES)
    return failed(CHECK, f"the token can do no work completely. {lacks}", ACL)
