"""What is kept open between commands, and that no reply ever reaches another's caller."""

import asyncio
import base64
import gc
import json
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.faults import servers

from llm_cache import StoreTimeout
from llm_cache._upstash.asynchronous import Connection, Pool
from llm_cache._upstash.blocking import MOST_IDLE
from llm_cache._upstash.connecting import Origin
from llm_cache._upstash.credentials import Credentials
from llm_cache._upstash.http_exchange import Reply
from llm_cache._upstash.upstash_store import UpstashStore
from upstash_endpoint.children import wait_until
from upstash_endpoint.endpoint import UpstashEndpoint

OPEN_FILES = Path("/proc/self/fd")
PAUSE = 0.2  # seconds
SECONDS = 60.0  # that a command may take on a busy machine


def in_turn(store: UpstashStore, keys: str) -> list[Any]:
    """Get one key after another, with a pause."""
    told = []
    for key in keys:
        told.append(store.execute(("GET", key), SECONDS))
        time.sleep(PAUSE)
    return told


def ain_turn(store: UpstashStore, keys: str) -> list[Any]:
    """Get one key after another on one event loop, with a pause."""

    async def work() -> list[Any]:
        told = []
        for key in keys:
            told.append(await store.aexecute(("GET", key), SECONDS))
            await asyncio.sleep(PAUSE)
        return told

    return asyncio.run(work())


class Echo:
    """Replies to ``GET key`` with the key; to ``late`` keys once ``go`` is set."""

    def __init__(self) -> None:
        self.connections = self.waiting = self.most_waiting = 0
        self.go = threading.Event()
        self.afterwards = b""
        self._lock = threading.Lock()

    def handle(self, connection: socket.socket) -> None:
        self.connections += 1
        while command := servers.command_of(connection):
            if command[1].startswith("late"):
                self._wait()
            result = base64.b64encode(command[1].encode()).decode()
            body = json.dumps({"result": result}).encode()
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            connection.sendall(head + body)
            if self.afterwards:
                time.sleep(0.05)  # so that it is no part of what the reply is read with
                connection.sendall(self.afterwards)

    def _wait(self) -> None:
        with self._lock:
            self.waiting += 1
            self.most_waiting = max(self.waiting, self.most_waiting)
        self.go.wait(SECONDS)
        with self._lock:
            self.waiting -= 1

    @contextmanager
    def served(self) -> Iterator[UpstashStore]:
        with servers.serving(self.handle) as url:
            yield UpstashStore(lambda: Credentials(url, "token"))


async def test_reply_to_a_cancelled_call_reaches_nobody_else() -> None:
    echo = Echo()
    with echo.served() as store:
        late = [asyncio.ensure_future(store.aexecute(("GET", f"late {n}"), SECONDS)) for n in "abc"]
        await asyncio.to_thread(wait_until, lambda: echo.waiting == 3, seconds=SECONDS, what="all")
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        echo.go.set()
        keys = [f"key {number}" for number in range(9)]
        told = await asyncio.gather(*(store.aexecute(("GET", key), SECONDS) for key in keys))
        assert told == keys


def test_reply_that_comes_too_late_reaches_nobody_else() -> None:
    echo = Echo()
    with echo.served() as store:
        with pytest.raises(StoreTimeout):
            store.execute(("GET", "late"), 0.1)
        echo.go.set()
        assert in_turn(store, "abc") == ["a", "b", "c"]


@pytest.mark.parametrize("get", [in_turn, ain_turn])
@pytest.mark.parametrize("unasked", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"])
def test_connection_is_used_again_unless_something_comes_unasked(
    get: Callable[[UpstashStore, str], list[Any]], unasked: bytes
) -> None:
    echo = Echo()
    echo.afterwards = unasked
    with echo.served() as store:
        assert get(store, "abc") == ["a", "b", "c"]
        assert echo.connections == (3 if unasked else 1)


async def test_tasks_of_one_loop_share_a_bounded_number_of_connections() -> None:
    echo = Echo()
    with echo.served() as store:
        tasks = [
            asyncio.ensure_future(store.aexecute(("GET", f"late {number}"), SECONDS))
            for number in range(MOST_IDLE + 50)
        ]
        enough = lambda: echo.waiting == MOST_IDLE  # noqa: E731
        await asyncio.to_thread(wait_until, enough, seconds=SECONDS, what="the connections")
        echo.go.set()
        told = await asyncio.gather(*tasks)
        assert told == [f"late {number}" for number in range(MOST_IDLE + 50)]
        assert echo.most_waiting == echo.connections == MOST_IDLE


class Shared(deque[Any]):
    """Idle connections, each of which another thread takes as soon as it is there."""

    def append(self, idle: Any) -> None:
        idle[0].close()


def test_connection_that_another_thread_takes_at_once_is_no_failure() -> None:
    echo = Echo()
    with echo.served() as store:
        store.execute(("GET", "a"), SECONDS)
        assert store._client
        store._client._blocking._idle = Shared()
        assert in_turn(store, "bc") == ["b", "c"]


class Closing(asyncio.Transport):
    """A connection that the server has closed together with its reply."""

    def is_closing(self) -> bool:
        return True

    def abort(self) -> None:
        """Do nothing more."""


async def test_connection_that_closes_with_its_reply_is_no_failure() -> None:
    pool, connection = Pool(Origin.of("http://127.0.0.1:9")), Connection()
    connection.connection_made(Closing())
    pool._keep(connection, Reply(200, {}, b"", reusable=True))
    assert not pool._idle


def test_threads_with_a_loop_each_get_their_own_replies(upstash: UpstashEndpoint) -> None:
    store = UpstashStore(lambda: Credentials(upstash.url, upstash.token))

    async def ask(thread: int) -> list[Any]:
        rounds = [[f"{thread} {number} {each}" for each in range(3)] for number in range(10)]
        return [
            await asyncio.gather(*(store.aexecute(("ECHO", one), SECONDS) for one in keys)) == keys
            for keys in rounds
        ]

    with ThreadPoolExecutor(24) as threads:
        told = list(threads.map(lambda thread: asyncio.run(ask(thread)), range(24)))
    assert told == [[True] * 10] * 24


def open_files() -> int:
    gc.collect()
    return len(list(OPEN_FILES.iterdir()))


@pytest.mark.skipif(not OPEN_FILES.is_dir(), reason="needs Linux's /proc")
def test_collected_clients_leave_no_socket_and_no_thread(upstash: UpstashEndpoint) -> None:
    def use() -> None:
        store = UpstashStore(lambda: Credentials(upstash.url, upstash.token))
        for _ in range(3):
            store.execute(("PING",), SECONDS)
            asyncio.run(store.aexecute(("PING",), SECONDS))

    use()
    before = open_files(), threading.active_count()
    for _ in range(20):
        use()
    wait_until(
        lambda: open_files() <= before[0] and threading.active_count() <= before[1],
        seconds=SECONDS,
        what="the last socket to close",
    )
