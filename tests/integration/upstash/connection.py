"""A direct connection to the Redis server, for tests that run many commands."""

import socket
from collections.abc import Iterable

from upstash_endpoint.redis_server import RedisServer
from upstash_endpoint.resp import Parser, RedisError, pack


class Connection:
    """Sends commands to the server without the REST endpoint."""

    def __init__(self, server: RedisServer) -> None:
        self._socket = socket.create_connection(("127.0.0.1", server.port))
        self._parser = Parser()
        self.call("AUTH", server.password)

    def call(self, *args: object) -> object:
        """Run one command and return its reply as text."""
        return self.pipeline([args])[0]

    def pipeline(self, commands: Iterable[tuple[object, ...]]) -> list[object]:
        """Run commands that are sent at once, and return their replies as text."""
        packed = [pack([str(arg).encode() for arg in command]) for command in commands]
        self._socket.sendall(b"".join(packed))
        values: list[object] = []
        while len(values) < len(packed):
            values += (reply.value for reply in self._parser.feed(self._socket.recv(65536)))
        for value in values:
            assert not isinstance(value, RedisError), value
        return [_text(value) for value in values]

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


def _text(value: object) -> object:
    if isinstance(value, list):
        return [_text(item) for item in value]
    return value.decode() if isinstance(value, bytes) else value
