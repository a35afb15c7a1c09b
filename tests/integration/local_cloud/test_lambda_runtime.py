"""AWS's own runtime client, driven over small functions."""

from __future__ import annotations

import socket
import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from local_cloud.lambda_runtime.deployed_function import DeployedFunction
from local_cloud.lambda_runtime.execution_environment import ExecutionEnvironment, InitFailed
from upstash_endpoint.children import PartFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="no runtime client elsewhere")

FUNCTION = """
import os, sys, threading, time
import from_layer

calls = 0
beats = []

def beat():
    while True:
        beats.append(time.monotonic())
        time.sleep(0.01)

threading.Thread(target=beat, daemon=True).start()

def handler(event, context):
    global calls
    calls += 1
    if "raise" in event:
        raise LookupError(event["raise"])
    if "exit" in event:
        os._exit(event["exit"])
    time.sleep(event.get("sleep", 0))
    return {
        "event": event, "calls": calls, "left": context.get_remaining_time_in_millis(),
        "layer": from_layer.NAME, "env": dict(os.environ), "arn": context.invoked_function_arn,
        "pause": max(b - a for a, b in zip(beats, beats[1:])) if len(beats) > 1 else 0,
    }
"""
SNAPSHOT = """
from snapshot_restore_py import register_after_restore, register_before_snapshot

seen = []
register_before_snapshot(seen.append, "before")
register_after_restore(seen.append, "after")

def handler(event, context):
    return seen
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., ExecutionEnvironment]]:
    started: list[ExecutionEnvironment] = []

    def begin(
        code: str = FUNCTION, *, timeout: float = 60, snapstart: bool = False
    ) -> ExecutionEnvironment:
        folder = tmp_path / "with a space" / str(len(started))
        task, opt = folder / "task", folder / "opt"
        for path in (task, opt / "python"):
            path.mkdir(parents=True)
        (task / "app.py").write_text(textwrap.dedent(code))
        (opt / "python" / "from_layer.py").write_text("NAME = 'layer'")
        deployed = DeployedFunction(
            name="tiny",
            arn="arn:aws:lambda:us-east-1:000000000000:function:tiny:live",
            handler="app.handler",
            runtime=f"python3.{sys.version_info.minor}",
            task=task,
            opt=opt,
            timeout=timeout,
            memory=512,
            variables={"TOLD": "by the template"},
        )
        started.append(ExecutionEnvironment.start(deployed, folder, snapstart=snapstart))
        return started[-1]

    yield begin
    for environment in started:
        environment.stop()


def test_invocation_returns_what_the_handler_returns(
    start: Callable[..., ExecutionEnvironment],
) -> None:
    result = start().invoke({"question": "é"})

    assert result.error is None
    assert result.payload["event"] == {"question": "é"}
    assert result.payload["layer"] == "layer"
    assert result.payload["arn"].endswith(":live")


def test_environment_stays_warm_between_invocations(
    start: Callable[..., ExecutionEnvironment],
) -> None:
    environment = start()

    assert [environment.invoke({}).payload["calls"] for _ in range(3)] == [1, 2, 3]


def test_function_sees_its_own_variables_and_none_of_the_users(
    start: Callable[..., ExecutionEnvironment], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("SECRET_OF_THE_USER", "x")

    env = start().invoke({}).payload["env"]

    assert env["TOLD"] == "by the template"
    assert env["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "512"
    assert not {"AWS_PROFILE", "SECRET_OF_THE_USER"} & env.keys()


def test_exception_comes_back_as_lambda_forms_it(
    start: Callable[..., ExecutionEnvironment],
) -> None:
    environment = start()

    result = environment.invoke({"raise": "nothing there"})

    assert result.error == "Unhandled"
    assert result.payload["errorType"] == "LookupError"
    assert result.payload["errorMessage"] == "nothing there"
    assert result.payload["stackTrace"]
    assert environment.invoke({}).error is None  # an exception does not end the environment


def test_deadline_counts_down_from_the_deployed_timeout(
    start: Callable[..., ExecutionEnvironment],
) -> None:
    environment = start(timeout=60)

    first, later = (environment.invoke({"sleep": nap}).payload["left"] for nap in (0, 0.5))

    assert 50_000 < first <= 60_000
    assert 50_000 < later <= 59_500


@pytest.mark.timed
def test_timeout_kills_the_environment(start: Callable[..., ExecutionEnvironment]) -> None:
    environment = start(timeout=0.5)
    pid = environment.pid()

    result = environment.invoke({"sleep": 30})

    assert result.payload["errorType"] == "Sandbox.Timedout"
    assert 0.5 <= result.seconds < 15
    assert not Path(f"/proc/{pid}").exists()
    with pytest.raises(PartFailed, match="tiny"):
        environment.invoke({})


def test_exit_of_the_runtime_is_reported(start: Callable[..., ExecutionEnvironment]) -> None:
    result = start().invoke({"exit": 3})

    assert (result.error, result.payload["errorType"]) == ("Unhandled", "Runtime.ExitError")


def test_failed_import_is_an_init_failure_that_says_why(
    start: Callable[..., ExecutionEnvironment],
) -> None:
    with pytest.raises(InitFailed, match="No module named 'not_in_the_layer'"):
        start("import not_in_the_layer")


def test_frozen_environment_does_nothing_until_it_is_thawed(
    start: Callable[..., ExecutionEnvironment],
) -> None:
    environment = start()
    environment.invoke({"sleep": 0.3})  # in which the thread has begun to beat

    environment.freeze()
    time.sleep(0.5)

    assert environment.invoke({"sleep": 0.3}).payload["pause"] >= 0.4


def test_snapstart_runs_the_hooks_around_the_snapshot(
    start: Callable[..., ExecutionEnvironment],
) -> None:
    environment = start(SNAPSHOT, snapstart=True)

    assert environment.restore() > 0
    assert environment.invoke({}).payload == ["before", "after"]


CONNECTING = """
import socket
kept = []

def handler(event, context):
    kept.append(socket.create_connection(("127.0.0.1", event["port"])))
    kept.append(bytearray(event["bytes"]))
"""


def test_connections_of_the_process_are_seen_until_the_other_end_closes(
    start: Callable[..., ExecutionEnvironment],
) -> None:
    environment = start(CONNECTING)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert environment.connected_to() == set()
        environment.invoke({"port": port, "bytes": 0})
        with server.accept()[0]:
            assert environment.connected_to() == {port}
        assert environment.connected_to() == set()


def test_most_memory_that_the_process_had_is_seen(
    start: Callable[..., ExecutionEnvironment],
) -> None:
    environment, most = start(CONNECTING), 64 * 2**20
    with socket.create_server(("127.0.0.1", 0)) as server:
        before = environment.peak_memory()
        environment.invoke({"port": server.getsockname()[1], "bytes": most})
        assert before + most <= environment.peak_memory() < before + 2 * most


def test_stop_leaves_no_process(start: Callable[..., ExecutionEnvironment]) -> None:
    environment = start()
    pid = environment.pid()

    environment.stop()

    assert not Path(f"/proc/{pid}").exists()
