"""Pooled connections are reused, bounded and closed, and no reply reaches another caller."""

import asyncio
import base64
import gc
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.faults import socket_servers
from tests.faults.either_client import EitherClient

from llm_cache import StoreTimeout
from llm_cache._upstash.async_pool import AsyncConnection, AsyncPool
from llm_cache._upstash.blocking_pool import MOST_IDLE
from llm_cache._upstash.credentials import Credentials
from llm_cache._upstash.http_messages import HttpEndpoint, HttpReply
from llm_cache._upstash.upstash_store import UpstashStore
from upstash_endpoint.children import wait_until
from upstash_endpoint.endpoint import UpstashEndpoint

OPEN_FILES = Path("/proc/self/fd")
PAUSE = 0.2  # seconds between two commands
SECONDS = 60.0  # that a command may take on a busy machine


def get_slowly(store: UpstashStore, keys: str, *, blocking: bool = True) -> list[Any]:
    """Get one key after another, with a pause after each."""
    client = EitherClient(store, blocking)

    async def work() -> list[Any]:
        replies = []
        for key in keys:
            replies.append(await client.call("execute", ("GET", key), SECONDS))
            await client.sleep(PAUSE)
        return replies

    return client.run(work())


class Echo:
    """Replies to ``GET key`` with the key; to keys with "late" in them, once ``go`` is set."""

    def __init__(self) -> None:
        self.connections = self.waiting = self.most_waiting = 0
        self.go = threading.Event()
        self.afterwards = b""
        """Sent after each reply."""
        self._lock = threading.Lock()

    def handle(self, connection: socket.socket) -> None:
        self.connections += 1
        while command := socket_servers.read_command(connection):
            if command[1].startswith("late"):
                self._wait()
            result = base64.b64encode(command[1].encode()).decode()
            socket_servers.send_reply(connection, {"result": result})
            if self.afterwards:
                time.sleep(0.05)  # the client reads the reply without it
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
        with socket_servers.serving(self.handle) as url:
            yield UpstashStore(lambda: Credentials(url, "token"))

    async def start(self, store: UpstashStore, calls: int, waiting: int) -> list[asyncio.Task[Any]]:
        """Start calls, and return once so many of them wait for their replies."""
        tasks = [
            asyncio.create_task(store.aexecute(("GET", f"late {number}"), SECONDS))
            for number in range(calls)
        ]
        enough = lambda: self.waiting == waiting  # noqa: E731
        await asyncio.to_thread(wait_until, enough, seconds=SECONDS, what="the requests")
        return tasks


@pytest.fixture
def echo() -> Echo:
    return Echo()


async def test_reply_to_a_cancelled_call_reaches_no_other_call(echo: Echo) -> None:
    with echo.served() as store:
        tasks = await echo.start(store, 3, waiting=3)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        echo.go.set()
        keys = [f"key {number}" for number in range(9)]
        replies = await asyncio.gather(*(store.aexecute(("GET", key), SECONDS) for key in keys))
        assert replies == keys


def test_reply_after_the_timeout_reaches_no_other_call(echo: Echo) -> None:
    with echo.served() as store:
        with pytest.raises(StoreTimeout):
            store.execute(("GET", "late"), 0.1)
        echo.go.set()
        assert get_slowly(store, "abc") == ["a", "b", "c"]


@pytest.mark.parametrize("unsolicited", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"])
def test_connection_is_reused_unless_it_holds_an_unsolicited_reply(
    echo: Echo, blocking: bool, unsolicited: bytes
) -> None:
    echo.afterwards = unsolicited
    with echo.served() as store:
        assert get_slowly(store, "abc", blocking=blocking) == ["a", "b", "c"]
        assert echo.connections == (3 if unsolicited else 1)


async def test_tasks_of_one_loop_share_a_bounded_number_of_connections(echo: Echo) -> None:
    with echo.served() as store:
        tasks = await echo.start(store, MOST_IDLE + 50, waiting=MOST_IDLE)
        echo.go.set()
        replies = await asyncio.gather(*tasks)
        assert replies == [f"late {number}" for number in range(MOST_IDLE + 50)]
        assert echo.most_waiting == echo.connections == MOST_IDLE


class ClosedAtOnce(deque[Any]):
    """Idle connections that another thread takes and closes as soon as they are added."""

    def append(self, idle: Any) -> None:
        idle[0].close()


def test_idle_connection_that_another_thread_takes_at_once_is_no_failure(echo: Echo) -> None:
    with echo.served() as store:
        store.execute(("GET", "a"), SECONDS)
        assert store._client
        store._client._blocking._idle = ClosedAtOnce()
        assert get_slowly(store, "bc") == ["b", "c"]


class Closing(asyncio.Transport):
    """A connection that the server has closed together with its reply."""

    def is_closing(self) -> bool:
        return True

    def abort(self) -> None:
        pass


async def test_connection_that_closes_with_its_reply_is_not_kept() -> None:
    pool, connection = AsyncPool(HttpEndpoint.of("http://127.0.0.1:9")), AsyncConnection()
    connection.connection_made(Closing())
    pool._keep(connection, HttpReply(200, {}, b"", reusable=True))
    assert not pool._idle


def test_event_loops_of_many_threads_each_get_their_own_replies(upstash: UpstashEndpoint) -> None:
    store = UpstashStore(lambda: Credentials(upstash.url, upstash.token))

    async def echo_all(thread: int) -> bool:
        for number in range(10):
            keys = [f"{thread} {number} {each}" for each in range(3)]
            work = (store.aexecute(("ECHO", key), SECONDS) for key in keys)
            assert await asyncio.gather(*work) == keys
        return True

    with ThreadPoolExecutor(24) as threads:
        assert all(threads.map(lambda thread: asyncio.run(echo_all(thread)), range(24)))


@pytest.mark.skipif(not OPEN_FILES.is_dir(), reason="needs Linux's /proc")
def test_collected_clients_leave_no_socket_and_no_thread(upstash: UpstashEndpoint) -> None:
    def use() -> None:
        store = UpstashStore(lambda: Credentials(upstash.url, upstash.token))
        for _ in range(3):
            store.execute(("PING",), SECONDS)
            asyncio.run(store.aexecute(("PING",), SECONDS))

    def open_files() -> int:
        gc.collect()
        return len(list(OPEN_FILES.iterdir()))

    use()
    files, threads = open_files(), threading.active_count()
    for _ in range(20):
        use()
    released = lambda: open_files() <= files and threading.active_count() <= threads  # noqa: E731
    wait_until(released, seconds=SECONDS, what="the last closed socket")
