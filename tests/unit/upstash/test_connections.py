"""One exchange over one connection."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from llm_cache import StoreTimeout
from llm_cache._upstash.async_pool import AsyncConnection
from llm_cache._upstash.blocking_connection import BlockingConnection, seconds_left
from llm_cache._upstash.http_messages import ConnectionDropped
from llm_cache._upstash.http_reply_parser import start_parser

UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\n\r\nbody"


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    client, server = socket.socketpair()
    with client, server:
        yield client, server


def test_reply_is_read_although_the_server_closed_before_the_request(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    client, server = sockets
    server.sendall(UNTIL_CLOSE)
    server.close()
    connection = BlockingConnection(client)
    reply = connection.exchange(b"x" * 999, start_parser(), time.monotonic() + 9)
    assert (reply.body, connection.is_readable) == (b"body", True)


def test_request_larger_than_the_socket_buffer_is_sent_and_answered(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    client, server = sockets

    def read_all_and_reply() -> None:
        time.sleep(0.1)  # the client fills the buffer meanwhile
        size = 0
        while size < 9_999_999:
            size += len(server.recv(65_536))
        server.sendall(UNTIL_CLOSE)
        server.close()

    thread = threading.Thread(target=read_all_and_reply)
    thread.start()
    connection = BlockingConnection(client)
    reply = connection.exchange(b"x" * 9_999_999, start_parser(), time.monotonic() + 9)
    thread.join()
    assert reply.body == b"body"


@pytest.mark.parametrize("size", [1, 9_999_999])
def test_silent_server_is_a_timeout_at_the_deadline(
    sockets: tuple[socket.socket, socket.socket], size: int
) -> None:
    connection = BlockingConnection(sockets[0])
    assert not connection.is_readable
    with pytest.raises(StoreTimeout):
        connection.exchange(b"x" * size, start_parser(), time.monotonic() + 0.01)


def test_deadline_that_has_passed_is_a_timeout() -> None:
    assert 0 < seconds_left(time.monotonic() + 9) <= 9
    with pytest.raises(StoreTimeout):
        seconds_left(time.monotonic())


class Transport:
    """Records what the connection does to it."""

    def __init__(self) -> None:
        self.sent, self.aborted = b"", False

    def write(self, data: bytes) -> None:
        self.sent += data

    def abort(self) -> None:
        self.aborted = True


@pytest.fixture
def connection() -> Any:
    connection: Any = AsyncConnection()
    connection.connection_made(Transport())
    return connection


def test_bytes_without_a_request_close_an_asynchronous_connection(connection: Any) -> None:
    connection.data_received(b"HTTP/1.1 200 OK\r\n")
    assert connection.transport.aborted


@pytest.mark.parametrize("lost", [None, ConnectionResetError()])
async def test_close_ends_an_asynchronous_reply_and_an_error_drops_it(
    connection: Any, lost: Exception | None
) -> None:
    exchange = asyncio.ensure_future(connection.exchange(b"request"))
    await asyncio.sleep(0)
    assert connection.transport.sent == b"request"
    connection.data_received(UNTIL_CLOSE)
    connection.connection_lost(lost)
    if lost:
        with pytest.raises(ConnectionDropped, match="ConnectionResetError"):
            await exchange
    else:
        assert (await exchange).body == b"body"
    assert connection.transport.aborted is bool(lost)
