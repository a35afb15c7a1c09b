"""Reports to the Runtime API, also of a runtime that dies while it reports."""

import socket
from collections.abc import Iterator

import pytest

from local_cloud.lambda_runtime.runtime_api import PREFIX, RuntimeApi, RuntimeReport

POST = f"POST {PREFIX}invocation/1/response HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = "Transfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
def api() -> Iterator[RuntimeApi]:
    api = RuntimeApi()
    yield api
    api.close()


def post(api: RuntimeApi, rest: str) -> bytes:
    """Send a report, close the connection, and return the reply."""
    with socket.create_connection(("127.0.0.1", api.server_port), timeout=60) as connection:
        connection.sendall((POST + rest).encode())
        connection.shutdown(socket.SHUT_WR)
        return connection.recv(1000)


@pytest.mark.parametrize(
    "rest", ["Content-Length: 4\r\n\r\nbody", CHUNKED + "4\r\nbody\r\n0\r\n\r\n"]
)
def test_whole_report_is_accepted(api: RuntimeApi, rest: str) -> None:
    assert b" 202 " in post(api, rest)
    assert api.reports.get(timeout=60) == RuntimeReport("response", b"body")


@pytest.mark.parametrize(
    "rest",
    [
        "Content-Length: 4\r\n\r\n",
        "Content-Length: 4\r\n\r\nbod",
        CHUNKED,
        CHUNKED + "4\r\nbo",
        CHUNKED + "4\r\nbody\r\n",
    ],
)
def test_truncated_report_is_ignored(api: RuntimeApi, rest: str) -> None:
    assert post(api, rest) == b""
    assert api.reports.empty()
