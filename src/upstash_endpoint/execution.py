"""Run the commands of a request on a leased connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from upstash_endpoint.commands import admit
from upstash_endpoint.extensions import (
    Extension,
    extension_of,
    scan_with_types,
    without_own_flag,
)
from upstash_endpoint.refused import Refused
from upstash_endpoint.resp import Failure, Reply, pack

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from upstash_endpoint.pool import Connection, Pool
    from upstash_endpoint.rest import Command
    from upstash_endpoint.tokens import Tokens

_MULTI, _EXEC = pack([b"MULTI"]), pack([b"EXEC"])


class Execution:
    """Runs commands as the user of `pool`; `count` is told each one that goes to Redis."""

    def __init__(self, tokens: Tokens, pool: Pool, count: Callable[[Command], None]) -> None:
        self._tokens = tokens
        self._pool = pool
        self._count = count

    async def one(self, command: Command) -> Reply:
        """Run one command; raises Refused when the REST API does not take it."""
        packed = self._admit(command)
        async with self._pool.lease() as connection:
            return await self._run(connection, command, packed)

    async def pipeline(self, commands: Sequence[Command]) -> list[Reply]:
        """Run commands in order, not atomically; a refused one gets an error in its place."""
        admitted = [self._admit_or_fail(command) for command in commands]
        if any(extension_of(command) for command in commands):
            return await self._one_by_one(commands, admitted)
        async with self._pool.lease() as connection:
            connection.send(*(packed for packed in admitted if isinstance(packed, bytes)))
            return [
                await connection.receive() if isinstance(packed, bytes) else packed
                for packed in admitted
            ]

    async def transaction(self, commands: Sequence[Command]) -> Reply:
        """Run commands atomically; return the reply of EXEC, or the error that discarded them."""
        admitted = [self._admit(command) for command in commands]
        async with self._pool.lease() as connection:
            connection.send(_MULTI)
            # Before anything else goes out: without MULTI the rest would run one by one.
            begun = await connection.receive()
            if isinstance(begun.value, Failure):
                return begun
            connection.send(*admitted, _EXEC)
            queued = [await connection.receive() for _ in admitted]
            executed = await connection.receive()
            if isinstance(executed.value, Failure):
                connection.close()  # EXEC itself may have been denied: still inside MULTI
            return _discarded(queued, executed)

    async def _one_by_one(
        self, commands: Sequence[Command], admitted: Sequence[bytes | Reply]
    ) -> list[Reply]:
        async with self._pool.lease() as connection:
            return [
                await self._run(connection, command, packed)
                if isinstance(packed, bytes)
                else packed
                for command, packed in zip(commands, admitted, strict=True)
            ]

    async def _run(self, connection: Connection, command: Command, packed: bytes) -> Reply:
        match extension_of(command):
            case Extension.REST_TOKEN:
                return await self._tokens.issue(connection, command)
            case Extension.SCAN_WITH_TYPES:
                return await scan_with_types(connection, command)
            case None:
                connection.send(packed)
                return await connection.receive()

    def _admit(self, command: Command) -> bytes:
        packed = admit(without_own_flag(command))
        self._count(command)
        return packed

    def _admit_or_fail(self, command: Command) -> bytes | Reply:
        if not command:
            return Reply.failure("ERR empty pipeline command")
        try:
            return self._admit(command)
        except Refused as refused:
            return Reply.failure(refused.text)


def _discarded(queued: Sequence[Reply], executed: Reply) -> Reply:
    """Return the error that made EXEC fail, if one did: it says more than EXECABORT."""
    if isinstance(executed.value, Failure):
        return next((reply for reply in queued if isinstance(reply.value, Failure)), executed)
    return executed
