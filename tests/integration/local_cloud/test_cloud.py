"""The processes of a local cloud: they listen on loopback only, and end with their parent."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from upstash_endpoint.children import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

# All processes, with a tiny function: to build and deploy the real stack would take longer.
RUN = """
import io, sys, time, zipfile
from local_cloud import cloud
from local_cloud.aws import stack_deployment

stack_deployment.start_build = lambda folder, tree: None

def deploy(aws, choices, folder, template):
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("index.py", "def handler(event, context): return 1")
    client = aws.client("lambda")
    runtime = stack_deployment.host_target()["Runtime"]
    client.create_function(
        FunctionName="tiny", Runtime=runtime, Handler="index.handler",
        Role="arn:aws:iam::000000000000:role/r", Code={"ZipFile": code.getvalue()},
    )
    client.invoke(FunctionName="tiny")

cloud._deploy = deploy
with cloud.LocalCloud.start(model=sys.argv[1]):
    print("up", flush=True)
    if "fail" in sys.argv:
        raise LookupError("injected")
    time.sleep(600)
"""
PARTS = ("valkey-server", "upstash_endpoint", "local_cloud.model", "_ministack.py", "_worker.py")


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", RUN, *arguments],
        env={**os.environ, "TMPDIR": str(folder), "PYTHONFAULTHANDLER": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if "echo" not in arguments else None,
        text=True,
    )


@pytest.fixture
def run(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    process = start(tmp_path, "echo")
    assert process.stdout
    assert process.stdout.readline() == "up\n"
    yield process
    process.kill()
    process.communicate()


def wait(run: subprocess.Popen[str]) -> None:
    try:
        run.wait(120)
    except subprocess.TimeoutExpired:
        run.send_signal(signal.SIGABRT)  # prints the stack
        pytest.fail("it did not end: see the stack in the captured output")


def processes(folder: Path) -> dict[int, str]:
    """Return the command lines of the processes with this TMPDIR, by process id."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if f"TMPDIR={folder}".encode() in (entry / "environ").read_bytes():
                found[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue  # it has ended
    return found


def listened_on(pids: set[int]) -> set[str]:
    """Return the addresses that processes listen on, in the kernel's hexadecimal form."""
    opened = {str(link.readlink()) for pid in pids for link in Path(f"/proc/{pid}/fd").iterdir()}
    rows = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path("/proc/net", table).read_text().splitlines()[1:]
    ]
    return {
        row[1].split(":")[0] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in opened
    }


def test_processes_listen_on_loopback_only(run: subprocess.Popen[str], tmp_path: Path) -> None:
    found = processes(tmp_path)
    assert all(any(part in command for command in found.values()) for part in PARTS)
    assert listened_on(set(found)) == {"0100007F"}  # 127.0.0.1


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_signal_ends_every_process(
    run: subprocess.Popen[str], tmp_path: Path, signum: signal.Signals
) -> None:
    run.send_signal(signum)
    wait(run)
    wait_until(lambda: not processes(tmp_path), seconds=60, what="the end of all processes")
    if signum != signal.SIGKILL:
        assert list(tmp_path.iterdir()) == []


def test_exception_ends_every_process(tmp_path: Path) -> None:
    run = start(tmp_path, "echo", "fail")
    run.communicate(timeout=120)
    assert run.returncode == 1
    assert processes(tmp_path) == {}
    assert list(tmp_path.iterdir()) == []


def test_part_that_does_not_start_is_named(tmp_path: Path) -> None:
    _, errors = start(tmp_path, "no such model").communicate(timeout=120)
    assert "PartFailed: the model no such model exited" in errors
    assert list(tmp_path.iterdir()) == []
