"""Bearer tokens, each standing for a real Redis user, so that permissions are Redis's own."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from upstash_endpoint.pool import Connection, Pool
from upstash_endpoint.refused import Refused
from upstash_endpoint.resp import Failure, Reply

if TYPE_CHECKING:
    from collections.abc import Sequence

READ_ONLY_USER = "default_ro"

# Upstash: some powerful read commands, such as SCAN and KEYS, are kept from this token as well.
_READ_ONLY_RULES = b"reset on ~* +@read -@dangerous -scan +ping +echo".split()


@dataclass(frozen=True, slots=True)
class Keyring:
    """Where Redis is, its default user's password, and the two tokens every database has."""

    port: int
    password: str = field(repr=False)
    token: str = field(repr=False)
    read_only_token: str = field(repr=False)
    host: str = "127.0.0.1"


class Tokens:
    """The tokens in force, and the pool of connections behind each."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._read_only_password = secrets.token_hex(16)
        self._default = Pool(lambda: self._connect("default", keyring.password))
        self._pools = {
            _digest(keyring.token): self._default,
            _digest(keyring.read_only_token): Pool(self._connect_read_only),
        }

    def pool(self, token: str) -> Pool:
        """Return the pool of a token's user; raise Refused (401) when the token is not in force.

        Digests are compared, all of them: neither how many characters match nor which token does
        shows in the time it takes.
        """
        given, found = _digest(token), None
        for digest, pool in self._pools.items():
            if hmac.compare_digest(digest, given):
                found = pool
        if found is None:
            raise Refused("WRONGPASS invalid or missing auth token", status=401)
        return found

    async def issue(self, caller: Connection, args: Sequence[bytes]) -> Reply:
        """Answer `ACL RESTTOKEN <username> <password>`: a token with that user's permissions.

        The caller must be allowed to look at users; the same user and password give the same token.
        """
        user, password = (arg.decode("utf-8", "replace") for arg in args[2:])
        asked = await caller.call([b"ACL", b"GETUSER", args[2]])
        if isinstance(asked.value, Failure):
            return asked
        try:
            (await self._connect(user, password)).close()
        except Refused:
            return Reply.failure(f'ERR Wrong password or user "{user}" does not exist')
        token = self._token_of(user, password)
        self._pools.setdefault(_digest(token), Pool(lambda: self._connect(user, password)))
        return Reply.string(token.encode())

    def close(self) -> None:
        """Close every idle connection."""
        for pool in self._pools.values():
            pool.close()

    def _token_of(self, user: str, password: str) -> str:
        message = f"{len(user)}:{user}:{password}".encode()
        mac = hmac.digest(self._keyring.token.encode(), message, "sha256")
        return base64.b64encode(mac + user.encode()).decode()

    async def _connect(self, user: str, password: str) -> Connection:
        connection = await Connection.open(self._keyring.host, self._keyring.port)
        try:
            reply = await connection.call([b"AUTH", user.encode(), password.encode()])
        except BaseException:
            connection.close()
            raise
        if isinstance(reply.value, Failure):
            connection.close()
            raise Refused(reply.value.text, status=401)
        return connection

    async def _connect_read_only(self) -> Connection:
        # Each time, because a restarted server has forgotten its users.
        rule = b">" + self._read_only_password.encode()
        async with self._default.lease() as connection:
            await connection.call(
                [b"ACL", b"SETUSER", READ_ONLY_USER.encode(), *_READ_ONLY_RULES, rule]
            )
        return await self._connect(READ_ONLY_USER, self._read_only_password)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
