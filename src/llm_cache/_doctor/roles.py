"""The users of a database with the least rights: their commands, and the keys that they may use.

This is the only list of them: ``llm-cache doctor`` tries its commands, ``--acl`` and
``docs/security.md`` show it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from llm_cache._entries.keys import Keyspace


class Role(NamedTuple):
    """A Redis user of one namespace.

    ``work`` is what its commands are for, ``keys`` the ends of the patterns of its keys.
    """

    user: str
    work: str
    keys: tuple[str, ...]
    commands: tuple[str, ...]

    def rules(self, namespace: str) -> str:
        """Return the rules of ``ACL SETUSER`` for the keys and the commands."""
        prefix = key_pattern(namespace)
        keys = [f"~{prefix}:{end}" for end in self.keys]
        return " ".join(keys + [f"+{command}" for command in self.commands])

    def acl(self, namespace: str) -> str:
        """Return the commands that create the user and its REST token."""
        return (
            f"ACL GENTOKEN {self.user}\n"
            f"ACL SETUSER {self.user} on >TOKEN {self.rules(namespace)}\n"
            f"ACL RESTTOKEN {self.user} TOKEN\n"
        )


FUNCTIONS = Role(
    "ask",
    "serve hits, store, use single flight",
    ("entry:*", "lease:*", "epoch", "epoch:*"),
    ("mget", "set", "unlink", "pttl", "eval"),
)
READING = (
    *("mget", "getrange", "strlen", "exists", "pttl", "scan", "eval"),
    *("ping", "time", "info", "dbsize"),
)
# A command line with --stack has the token of flush_cache.
FLUSH = Role(
    "flush",
    "run flush_cache and every command of llm-cache",
    ("entry:*", "lease:*", "epoch", "epoch:*"),
    (*READING, "set", "unlink"),
)
READER = Role(
    "viewer",
    "run stats, ls, show, why and dry runs",
    ("entry:*", "lease:*", "epoch", "epoch:*"),
    READING,
)
ROLES = (FUNCTIONS, FLUSH, READER)


def key_pattern(namespace: str) -> str:
    """Return a pattern of ``ACL SETUSER`` that matches the namespace.

    A pattern has no spaces, and a shell would read quotes: ``?`` stands for them.
    """
    prefix = Keyspace(namespace).entry_pattern.removesuffix(":entry:*")
    return re.sub(r"[\s\"']", "?", prefix)


def acl_block(namespace: str) -> str:
    """Return the commands that create the users of a namespace."""
    return "\n".join(role.acl(namespace) for role in ROLES)
