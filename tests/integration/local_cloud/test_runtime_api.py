"""The Runtime API, towards a runtime that dies over its report."""

import socket
from collections.abc import Iterator

import pytest

from local_cloud.lambda_runtime.runtime_api import PREFIX, RuntimeApi, RuntimeReport

POST = f"POST {PREFIX}invocation/1/response HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture
def api() -> Iterator[RuntimeApi]:
    api = RuntimeApi()
    yield api
    api.close()


def post(api: RuntimeApi, rest: str) -> bytes:
    """Send a report, and hang up; return what was said to it."""
    with socket.create_connection(("127.0.0.1", api.server_port), timeout=60) as connection:
        connection.sendall((POST + rest).encode())
        connection.shutdown(socket.SHUT_WR)
        return connection.recv(1000)


WHOLE = [
    "Content-Length: 4\r\n\r\nbody",
    "Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
]
CUT = [
    "Content-Length: 4\r\n\r\n",
    "Content-Length: 4\r\n\r\nbod",
    "Transfer-Encoding: chunked\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\n4\r\nbo",
    "Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n",
]


@pytest.mark.parametrize("rest", WHOLE)
def test_a_whole_report_is_taken(api: RuntimeApi, rest: str) -> None:
    assert b" 202 " in post(api, rest)
    assert api.reports.get(timeout=60) == RuntimeReport("response", b"body")


@pytest.mark.parametrize("rest", CUT)
def test_one_that_was_cut_short_is_none(api: RuntimeApi, rest: str) -> None:
    assert post(api, rest) == b""
    assert api.reports.empty()
