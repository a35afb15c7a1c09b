"""Run an Upstash database on this machine: Valkey, with the REST endpoint in front of it."""

import contextlib
import re
import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from upstash_endpoint.defaults import PORT, TOKEN
from upstash_endpoint.endpoint import UpstashEndpoint
from upstash_endpoint.redis_server import RedisServer
from upstash_endpoint.termination import signals_exit

_MAX_PORT = 65535
_CHECK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class LocalDatabase:
    """A running database, empty at first; its data ends with it."""

    redis: RedisServer
    endpoint: UpstashEndpoint

    @classmethod
    @contextlib.contextmanager
    def start(cls, port: int | None = None, *, token: str = TOKEN) -> Iterator[Self]:
        """Start the database, and stop it at the end of the block.

        Without a `port`, takes PORT, or a free port if another program has PORT. Raises ValueError
        for a wrong token and for a `port` that is wrong or taken, and PartFailed if Valkey does not
        start.
        """
        _check(port, token)
        with RedisServer.start() as redis, _endpoint(redis, port, token) as endpoint:
            yield cls(redis, endpoint)

    @property
    def moved(self) -> bool:
        """Whether the database is on another port than PORT."""
        return not self.endpoint.url.endswith(f":{PORT}")

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables that clients of Upstash read."""
        return {
            "UPSTASH_REDIS_REST_URL": self.endpoint.url,
            "UPSTASH_REDIS_REST_TOKEN": self.endpoint.token,
        }


def serve(port: int | None, *, token: str, ready: Callable[[LocalDatabase], None]) -> None:
    """Run a database until Ctrl-C, SIGTERM or SIGHUP; call `ready` when it answers.

    Raises as `LocalDatabase.start` does; PartFailed too when Valkey ends, and SystemExit on SIGTERM
    and SIGHUP.
    """
    with (
        contextlib.suppress(KeyboardInterrupt),
        signals_exit(),
        LocalDatabase.start(port, token=token) as database,
    ):
        ready(database)
        while True:
            time.sleep(_CHECK_SECONDS)
            database.redis.check()


def export_lines(variables: Mapping[str, str]) -> str:
    """Return one line for a shell per variable."""
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items())


def _check(port: int | None, token: str) -> None:
    if not re.fullmatch("[!-~]+", token):
        raise ValueError("token: use visible ASCII characters, without spaces (value withheld)")
    if port is not None and not 0 <= port <= _MAX_PORT:
        raise ValueError(f"port {port}: use a number from 1 to {_MAX_PORT}, or 0 for a free port")


def _endpoint(redis: RedisServer, port: int | None, token: str) -> UpstashEndpoint:
    tokens = {"token": token, "read_only_token": f"{token}-read-only"}
    try:
        return UpstashEndpoint.start(redis, port=PORT if port is None else port, **tokens)
    except OSError as error:
        if port is None:
            return UpstashEndpoint.start(redis, port=0, **tokens)
        reason = f"cannot be opened ({error.strerror}): use another, or none for a free port"
        raise ValueError(f"port {port} {reason}") from None
