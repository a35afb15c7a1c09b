"""Run the commands of a request on a pooled connection."""

from collections.abc import Callable, Sequence

from upstash_endpoint.allowed_commands import admit
from upstash_endpoint.connection_pool import ConnectionPool, RedisConnection
from upstash_endpoint.extensions import (
    Extension,
    extension_of,
    scan_with_types,
    without_key_locking_flag,
)
from upstash_endpoint.refused import Refused
from upstash_endpoint.resp import RedisError, RedisReply, pack
from upstash_endpoint.rest_request import Command
from upstash_endpoint.token_users import TokenUsers

_MULTI, _EXEC = pack([b"MULTI"]), pack([b"EXEC"])


class Execution:
    """Runs commands as the user of `pool`, and passes each one that Redis gets to `count`."""

    def __init__(
        self, users: TokenUsers, pool: ConnectionPool, count: Callable[[Command], None]
    ) -> None:
        self._users = users
        self._pool = pool
        self._count = count

    async def one(self, command: Command) -> RedisReply:
        """Run one command; raise Refused if the REST API does not allow it."""
        packed = self._admit(command)
        async with self._pool.lease() as connection:
            return await self._run(connection, command, packed)

    async def pipeline(self, commands: Sequence[Command]) -> list[RedisReply]:
        """Run commands in order, not atomically; the reply to a refused command is an error."""
        admitted = [self._admit_or_fail(command) for command in commands]
        if any(extension_of(command) for command in commands):
            return await self._one_by_one(commands, admitted)
        async with self._pool.lease() as connection:
            connection.send(*(packed for packed in admitted if isinstance(packed, bytes)))
            return [
                await connection.receive() if isinstance(packed, bytes) else packed
                for packed in admitted
            ]

    async def transaction(self, commands: Sequence[Command]) -> RedisReply:
        """Run commands atomically; return the reply of EXEC, or the error that discarded them."""
        admitted = [self._admit(command) for command in commands]
        async with self._pool.lease() as connection:
            connection.send(_MULTI)
            # Wait for its reply: if MULTI fails, the commands would run one by one.
            begun = await connection.receive()
            if isinstance(begun.value, RedisError):
                return begun
            connection.send(*admitted, _EXEC)
            queued = [await connection.receive() for _ in admitted]
            executed = await connection.receive()
            if isinstance(executed.value, RedisError):
                connection.close()  # EXEC itself may have been denied, inside MULTI
            return _discarded(queued, executed)

    async def _one_by_one(
        self, commands: Sequence[Command], admitted: Sequence[bytes | RedisReply]
    ) -> list[RedisReply]:
        async with self._pool.lease() as connection:
            return [
                await self._run(connection, command, packed)
                if isinstance(packed, bytes)
                else packed
                for command, packed in zip(commands, admitted, strict=True)
            ]

    async def _run(
        self, connection: RedisConnection, command: Command, packed: bytes
    ) -> RedisReply:
        match extension_of(command):
            case Extension.REST_TOKEN:
                return await self._users.issue(connection, command)
            case Extension.SCAN_WITH_TYPES:
                return await scan_with_types(connection, command)
            case None:
                connection.send(packed)
                return await connection.receive()

    def _admit(self, command: Command) -> bytes:
        packed = admit(without_key_locking_flag(command))
        self._count(command)
        return packed

    def _admit_or_fail(self, command: Command) -> bytes | RedisReply:
        if not command:
            return RedisReply.error("ERR empty pipeline command")
        try:
            return self._admit(command)
        except Refused as refused:
            return RedisReply.error(refused.text)


def _discarded(queued: Sequence[RedisReply], executed: RedisReply) -> RedisReply:
    """Return the error of the command that made EXEC fail, rather than EXECABORT."""
    if isinstance(executed.value, RedisError):
        return next((reply for reply in queued if isinstance(reply.value, RedisError)), executed)
    return executed
