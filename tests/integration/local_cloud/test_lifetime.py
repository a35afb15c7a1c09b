"""However a run ends, nothing of it stays; and nothing but loopback was ever listened on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from upstash_endpoint.children import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

# All the parts, and a function that runs; building and deploying the real stack takes longer.
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
    client.create_function(
        FunctionName="tiny", Runtime=stack_deployment.host_target()["Runtime"], Handler="index.handler",
        Role="arn:aws:iam::000000000000:role/r", Code={"ZipFile": code.getvalue()},
    )
    client.invoke(FunctionName="tiny")

cloud._deploy = deploy
with cloud.LocalCloud.start(model="echo"):
    print("up", flush=True)
    if "fail" in sys.argv:
        raise LookupError("as asked")
    time.sleep(600)
"""
PARTS = ("valkey-server", "upstash_endpoint", "local_cloud.model", "_ministack.py", "_worker.py")


@pytest.fixture
def run(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    process = _run(tmp_path)
    yield process
    process.kill()
    process.communicate()


def _run(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, *arguments],
        env={**os.environ, "TMPDIR": str(folder), "PYTHONFAULTHANDLER": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "up\n"
    return process


def _wait(run: subprocess.Popen[str]) -> None:
    try:
        run.wait(120)
    except subprocess.TimeoutExpired:
        run.send_signal(signal.SIGABRT)  # shows where it hangs
        pytest.fail("it did not end: see the stack in the captured output")


def processes(folder: Path) -> dict[int, str]:
    """Return the processes whose temporary files go below a folder, and their command lines."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if f"TMPDIR={folder}".encode() in (entry / "environ").read_bytes():
                found[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue  # it has just ended
    return found


def listened_on(pids: set[int]) -> set[str]:
    """Return the addresses, in the kernel's hexadecimal, that processes listen on."""
    opened = {str(link.readlink()) for pid in pids for link in Path(f"/proc/{pid}/fd").iterdir()}
    rows = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path("/proc/net", table).read_text().splitlines()[1:]
    ]
    return {
        row[1].split(":")[0] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in opened
    }


def test_only_loopback_is_listened_on(run: subprocess.Popen[str], tmp_path: Path) -> None:
    found = processes(tmp_path)

    assert all(any(part in command for command in found.values()) for part in PARTS)
    assert listened_on(set(found)) == {"0100007F"}  # 127.0.0.1


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_signal_leaves_nothing(
    run: subprocess.Popen[str], tmp_path: Path, signum: signal.Signals
) -> None:
    run.send_signal(signum)
    _wait(run)

    wait_until(lambda: not processes(tmp_path), seconds=60, what="the end of all of them")
    if signum != signal.SIGKILL:
        assert list(tmp_path.iterdir()) == []


def test_exception_leaves_nothing(tmp_path: Path) -> None:
    run = _run(tmp_path, "fail")
    run.communicate(timeout=120)

    assert run.returncode == 1
    assert processes(tmp_path) == {}
    assert list(tmp_path.iterdir()) == []


def test_part_that_dies_is_named(tmp_path: Path) -> None:
    broken = RUN.replace('model="echo"', 'model="no such model"')

    run = subprocess.run(
        [sys.executable, "-c", broken],
        env={**os.environ, "TMPDIR": str(tmp_path), "PATH": "/nowhere"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert "PartFailed: the model no such model exited" in run.stderr
    assert list(tmp_path.iterdir()) == []
