"""Faults of the Redis server itself."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from unittest.mock import patch

from tests.faults.faulty_proxy import Forward
from tests.faults.route import CREATE_USER, USER, Begin, Fault, Route

from llm_cache import StoreRefused, StoreTimeout
from upstash_endpoint.children import wait_until


def between(begin: Callable[[Route], object], end: Callable[[Route], object]) -> Begin:
    @contextmanager
    def broken(route: Route) -> Iterator[None]:
        begin(route)
        yield
        end(route)

    return broken


def command(*command: str, restore: tuple[str, ...] = CREATE_USER) -> Begin:
    """Return a fault that one command makes and another removes."""
    return between(lambda it: it.server.call(*command), lambda it: it.server.call(*restore))


def permissions(*rules: str) -> Begin:
    return command("ACL", "SETUSER", USER, *rules)


def restart(route: Route) -> None:
    route.server.restart()
    route.host.create_user()


@contextmanager
def busy(route: Route) -> Iterator[None]:
    """Run an endless script, so that other commands are answered BUSY."""
    route.server.call("CONFIG", "SET", "busy-reply-threshold", "1")
    with ThreadPoolExecutor(1) as pool:
        endless = pool.submit(route.server.call, "EVAL", "while true do end", "0")
        while b"BUSY" not in str(route.server.call("PING")).encode():
            time.sleep(0.001)
        yield
        route.server.call("SCRIPT", "KILL")
        endless.result()
    route.server.call("CONFIG", "SET", "busy-reply-threshold", "5000")


def killed_during_a_command(*, restarted: bool) -> Begin:
    """Return a fault that kills the server while it holds the first command."""

    @contextmanager
    def broken(route: Route) -> Iterator[None]:
        died = threading.Event()

        def misbehave(connection: socket.socket, forward: Forward) -> None:
            if died.is_set():
                connection.sendall(forward())
                return
            died.set()
            meter = route.host.upstash.meter
            before = meter.read().commands
            route.server.pause()
            with ThreadPoolExecutor(1) as pool:
                reply = pool.submit(forward)
                wait_until(lambda: meter.read().commands > before, seconds=60, what="the command")
                route.server.kill()
                if restarted:
                    restart(route)
                connection.sendall(reply.result())

        with patch.object(route.proxy, "misbehave", misbehave):
            yield
        if not restarted:
            restart(route)

    return broken


FULL, NOT_FULL = ("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0")
REPLICA, PRIMARY = ("REPLICAOF", "127.0.0.1", "9"), ("REPLICAOF", "NO", "ONE")
KILLED_DURING, RESTARTED = (killed_during_a_command(restarted=it) for it in (False, True))
PAUSED = between(lambda it: it.server.pause(), lambda it: it.server.resume())
KILLED = between(lambda it: it.server.kill(), restart)
REDIS_FAULTS = {
    "Redis: memory full": Fault(command(*FULL, restore=NOT_FULL), None, readable=True),
    "Redis: read-only replica": Fault(
        command(*REPLICA, restore=PRIMARY), StoreRefused, readable=True
    ),
    "Redis: user deleted": Fault(command("ACL", "DELUSER", USER), StoreRefused),
    "Redis: no permission for any command": Fault(permissions("-@all"), StoreRefused),
    "Redis: no permission for these keys": Fault(permissions("resetkeys", "~a:*"), StoreRefused),
    "Redis: no permission to write": Fault(
        permissions("-@write", "-eval"), StoreRefused, readable=True
    ),
    "Redis: busy with a script": Fault(busy, StoreRefused),
    "Redis: process paused": Fault(PAUSED, StoreTimeout),
    "Redis: process killed": Fault(KILLED, StoreRefused, loses_data=True),
    "Redis: killed during a command": Fault(KILLED_DURING, StoreRefused, loses_data=True),
    "Redis: killed during a command and restarted": Fault(RESTARTED, StoreRefused, loses_data=True),
}
