"""A database on this machine: its port, its tokens, its errors, and what remains of it."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from upstash_redis import Redis
from upstash_redis.errors import UpstashError

from upstash_endpoint.children import PartFailed, free_port, wait_until
from upstash_endpoint.defaults import TOKEN
from upstash_endpoint.serve import LocalDatabase, export_lines, serve

PROGRAM = """
import sys
from upstash_endpoint.defaults import TOKEN
from upstash_endpoint.serve import LocalDatabase, serve

def ready(database: LocalDatabase) -> None:
    print(database.redis.port, database.redis.directory, flush=True)

serve(0, token=TOKEN, ready=ready)
"""


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which another program listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def program() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        yield running
        running.kill()


def ready(program: subprocess.Popen[str]) -> tuple[int, Path]:
    """Wait until the database answers; return the port of Valkey and its folder."""
    assert program.stdout
    port, folder = program.stdout.readline().split()
    return int(port), Path(folder)


def refuses(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) != 0


def test_default_port_is_used_if_it_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setattr("upstash_endpoint.serve.PORT", port)
    with LocalDatabase.start() as database:
        assert database.endpoint.url == f"http://127.0.0.1:{port}"


def test_free_port_replaces_a_default_port_that_is_taken(
    monkeypatch: pytest.MonkeyPatch, taken: int
) -> None:
    monkeypatch.setattr("upstash_endpoint.serve.PORT", taken)
    with LocalDatabase.start() as database:
        assert not database.endpoint.url.endswith(f":{taken}")
        with Redis(database.endpoint.url, database.endpoint.token) as client:
            assert client.set("key", "value")


def test_chosen_port_that_is_taken_is_an_error_that_names_it(taken: int) -> None:
    with (
        pytest.raises(ValueError, match=f"port {taken} cannot be opened"),
        LocalDatabase.start(taken),
    ):
        pass


@pytest.mark.parametrize("port", [-1, 65536])
def test_number_that_is_no_port_is_an_error(port: int) -> None:
    with pytest.raises(ValueError, match=f"port {port}: use"), LocalDatabase.start(port):
        pass


@pytest.mark.parametrize("token", ["", "two words", "tok\nen", "tökén"])
def test_token_that_no_header_can_hold_is_an_error_without_its_value(token: str) -> None:
    with (
        pytest.raises(ValueError, match="token: use") as failed,
        LocalDatabase.start(0, token=token),
    ):
        pass
    assert not token or token not in str(failed.value)


def test_read_only_token_of_the_database_cannot_write() -> None:
    with LocalDatabase.start(0) as database:
        assert database.endpoint.read_only_token == f"{TOKEN}-read-only"
        with Redis(database.endpoint.url, database.endpoint.read_only_token) as client:
            assert client.get("key") is None
            with pytest.raises(UpstashError, match="NOPERM"):
                client.set("key", "value")


def test_export_lines_set_the_variables_in_a_shell() -> None:
    variables = {"FIRST": "it's $HOME", "SECOND": "plain"}
    script = f'{export_lines(variables)}\nprintf "%s|" "$FIRST" "$SECOND"'
    shown = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert shown.stdout == "it's $HOME|plain|"


@pytest.mark.parametrize(
    ("signum", "status"), [(signal.SIGINT, 0), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_signal_stops_the_database_and_removes_its_files(
    program: subprocess.Popen[str], signum: signal.Signals, status: int
) -> None:
    port, folder = ready(program)
    program.send_signal(signum)
    _, errors = program.communicate(timeout=60)
    assert (program.returncode, errors) == (status, "")
    assert refuses(port)
    assert not folder.exists()


def test_valkey_ends_with_a_killed_program(program: subprocess.Popen[str]) -> None:
    port, folder = ready(program)
    program.kill()
    wait_until(lambda: refuses(port), seconds=60, what="the end of Valkey")
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()


def test_end_of_valkey_is_an_error() -> None:
    with pytest.raises(PartFailed, match="the Redis server exited with status 137"):
        serve(0, token=TOKEN, ready=lambda database: database.redis.kill())
