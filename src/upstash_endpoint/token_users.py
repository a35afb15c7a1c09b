"""Map bearer tokens to Redis users, so that Redis itself checks permissions."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from upstash_endpoint.connection_pool import ConnectionPool, RedisConnection
from upstash_endpoint.refused import Refused
from upstash_endpoint.resp import RedisError, RedisReply

READ_ONLY_USER = "default_ro"

# As at Upstash, this token may not run some read commands, such as SCAN and KEYS.
_READ_ONLY_RULES = b"reset on ~* +@read -@dangerous -scan +ping +echo".split()


@dataclass(frozen=True, slots=True)
class DatabaseAccess:
    """The address of Redis, its default user's password, and the two tokens of a database."""

    port: int
    password: str = field(repr=False)
    token: str = field(repr=False)
    read_only_token: str = field(repr=False)
    host: str = "127.0.0.1"


class TokenUsers:
    """The valid tokens, with a connection pool for the user of each."""

    def __init__(self, access: DatabaseAccess) -> None:
        self._access = access
        self._read_only_password = secrets.token_hex(16)
        self._default = ConnectionPool(lambda: self._connect("default", access.password))
        self._pools = {
            _digest(access.token): self._default,
            _digest(access.read_only_token): ConnectionPool(self._connect_read_only),
        }

    def pool(self, token: str) -> ConnectionPool:
        """Return the pool of a token's user; raise Refused (401) if the token is invalid.

        All digests are compared, so the time shows neither which token matches nor how much of it.
        """
        presented, found = _digest(token), None
        for digest, pool in self._pools.items():
            if hmac.compare_digest(digest, presented):
                found = pool
        if found is None:
            raise Refused("WRONGPASS invalid or missing auth token", status=401)
        return found

    async def issue(self, issuer: RedisConnection, args: Sequence[bytes]) -> RedisReply:
        """Run `ACL RESTTOKEN <username> <password>`: return a token with that user's permissions.

        The issuer needs permission to read users. Equal users and passwords have equal tokens.
        """
        user, password = (arg.decode("utf-8", "replace") for arg in args[2:])
        found = await issuer.call([b"ACL", b"GETUSER", args[2]])
        if isinstance(found.value, RedisError):
            return found
        try:
            (await self._connect(user, password)).close()
        except Refused:
            return RedisReply.error(f'ERR Wrong password or user "{user}" does not exist')
        token = self._token_of(user, password)
        self._pools.setdefault(
            _digest(token), ConnectionPool(lambda: self._connect(user, password))
        )
        return RedisReply.string(token.encode())

    def close(self) -> None:
        """Close every idle connection."""
        for pool in self._pools.values():
            pool.close()

    def _token_of(self, user: str, password: str) -> str:
        message = f"{len(user)}:{user}:{password}".encode()
        mac = hmac.digest(self._access.token.encode(), message, "sha256")
        return base64.b64encode(mac + user.encode()).decode()

    async def _connect(self, user: str, password: str) -> RedisConnection:
        connection = await RedisConnection.open(self._access.host, self._access.port)
        try:
            reply = await connection.call([b"AUTH", user.encode(), password.encode()])
        except BaseException:
            connection.close()
            raise
        if isinstance(reply.value, RedisError):
            connection.close()
            raise Refused(reply.value.text, status=401)
        return connection

    async def _connect_read_only(self) -> RedisConnection:
        # Before each connection, because a restarted server has lost its users.
        rule = b">" + self._read_only_password.encode()
        async with self._default.lease() as connection:
            await connection.call(
                [b"ACL", b"SETUSER", READ_ONLY_USER.encode(), *_READ_ONLY_RULES, rule]
            )
        return await self._connect(READ_ONLY_USER, self._read_only_password)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
