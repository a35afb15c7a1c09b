"""AWS's own runtime client with small functions."""

import socket
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local_cloud.lambda_runtime.deployed_function import DeployedFunction
from local_cloud.lambda_runtime.execution_environment import ExecutionEnvironment, InitFailed
from upstash_endpoint.children import PartFailed

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="no runtime client elsewhere")

FUNCTION = """
import os, socket, sys, threading, time
import from_layer

calls = 0
beats = []
kept = []

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
    if "port" in event:
        kept.append(socket.create_connection(("127.0.0.1", event["port"])))
    kept.append(bytearray(event.get("bytes", 0)))
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


Start = Callable[..., ExecutionEnvironment]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
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
            variables={"FROM": "the template"},
        )
        started.append(ExecutionEnvironment.start(deployed, folder, snapstart=snapstart))
        return started[-1]

    yield begin
    for environment in started:
        environment.stop()


def test_handler_gets_its_event_layer_and_variables_but_none_of_the_users(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("SECRET_OF_THE_USER", "x")
    result = start().invoke({"question": "é"})
    assert result.error is None
    assert result.payload["event"] == {"question": "é"}
    assert result.payload["layer"] == "layer"
    assert result.payload["arn"].endswith(":live")
    env = result.payload["env"]
    assert (env["FROM"], env["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]) == ("the template", "512")
    assert not {"AWS_PROFILE", "SECRET_OF_THE_USER"} & env.keys()


def test_environment_stays_warm_also_after_an_exception(start: Start) -> None:
    environment = start()
    assert environment.invoke({}).payload["calls"] == 1
    result = environment.invoke({"raise": "nothing there"})
    assert result.error == "Unhandled"
    assert result.payload["errorType"] == "LookupError"
    assert result.payload["errorMessage"] == "nothing there"
    assert result.payload["stackTrace"]
    assert environment.invoke({}).payload["calls"] == 3


def test_deadline_counts_down_from_the_deployed_timeout(start: Start) -> None:
    environment = start(timeout=60)
    first, later = (environment.invoke({"sleep": nap}).payload["left"] for nap in (0, 0.5))
    assert 50_000 < first <= 60_000
    assert 50_000 < later <= 59_500


@pytest.mark.timed
def test_timeout_kills_the_environment(start: Start) -> None:
    environment = start(timeout=0.5)
    pid = environment.pid()
    result = environment.invoke({"sleep": 30})
    assert result.payload["errorType"] == "Sandbox.Timedout"
    assert 0.5 <= result.seconds < 15
    assert not Path(f"/proc/{pid}").exists()
    with pytest.raises(PartFailed, match="tiny"):
        environment.invoke({})


def test_exit_of_the_runtime_is_an_error_and_stop_ends_it(start: Start) -> None:
    stopped, exited = start(), start()
    pid = stopped.pid()
    stopped.stop()
    assert not Path(f"/proc/{pid}").exists()
    result = exited.invoke({"exit": 3})
    assert (result.error, result.payload["errorType"]) == ("Unhandled", "Runtime.ExitError")


def test_failed_import_is_an_init_failure_with_its_reason(start: Start) -> None:
    with pytest.raises(InitFailed, match="No module named 'not_in_the_layer'"):
        start("import not_in_the_layer")


def test_frozen_environment_stands_still_until_it_is_thawed(start: Start) -> None:
    environment = start()
    environment.invoke({"sleep": 0.3})  # in which the thread begins to beat
    environment.freeze()
    time.sleep(0.5)
    assert environment.invoke({"sleep": 0.3}).payload["pause"] >= 0.4


def test_snapstart_runs_the_hooks_around_the_snapshot(start: Start) -> None:
    environment = start(SNAPSHOT, snapstart=True)
    assert environment.restore() > 0
    assert environment.invoke({}).payload == ["before", "after"]


def test_connections_are_reported_until_the_other_end_closes_them(start: Start) -> None:
    environment = start()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert environment.connected_to() == set()
        environment.invoke({"port": port})
        with server.accept()[0]:
            assert environment.connected_to() == {port}
        assert environment.connected_to() == set()


def test_peak_memory_of_the_process_is_reported(start: Start) -> None:
    environment, allocated = start(), 64 * 2**20
    before = environment.peak_memory()
    environment.invoke({"bytes": allocated})
    assert before + allocated <= environment.peak_memory() < before + 2 * allocated
