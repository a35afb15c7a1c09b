import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from upstash_endpoint.children import Child, PartFailed, free_port, wait_until

SLEEP = "import time; print('up', flush=True); time.sleep(600)"
IGNORE_SIGTERM = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
PARENT = """
    import os, subprocess, sys
    from pathlib import Path
    from upstash_endpoint.children import Child
    inner = "import os, subprocess, sys, time;"
    inner += "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
    inner += "print(os.getpid(), p.pid, flush=True); time.sleep(600)"
    child = Child.start("sleeper", [sys.executable, "-c", inner], log=Path(sys.argv[1]))
    sys.stdin.read()
"""


def words(log: Path) -> list[str]:
    return log.read_text().split() if log.exists() else []


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def started(log: Path, script: str) -> Child:
    child = Child.start("sleeper", [sys.executable, "-c", script], log=log)
    child.wait_ready(lambda: bool(words(log)), seconds=60)
    return child


def test_killed_parent_ends_its_child_and_grandchild(tmp_path: Path) -> None:
    log = tmp_path / "log"
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PARENT), str(log)], stdin=subprocess.PIPE
    )
    wait_until(lambda: len(words(log)) >= 2, seconds=60, what="the grandchild")
    pids = [int(pid) for pid in words(log)]
    assert all(alive(pid) for pid in pids)
    parent.kill()
    wait_until(lambda: not any(alive(pid) for pid in pids), seconds=60, what="the end")
    parent.communicate()


def test_ended_child_ends_its_own_children(tmp_path: Path) -> None:
    leave = (
        f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {SLEEP!r}]).pid)"
    )
    child = Child.start("leaver", [sys.executable, "-c", leave], log=tmp_path / "log")
    wait_until(lambda: not child.running, seconds=60, what="the end of the child")
    grandchild = int(next(word for word in words(child.log) if word.isdigit()))
    wait_until(lambda: not alive(grandchild), seconds=60, what="the end of the grandchild")
    child.stop()


@pytest.mark.parametrize("frozen", [False, True])
def test_frozen_child_ends_on_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frozen: bool
) -> None:
    monkeypatch.setattr("upstash_endpoint.children.GRACE_SECONDS", 60.0)
    with started(tmp_path / "log", SLEEP) as child:
        assert child.running
        if frozen:
            child.signal(signal.SIGSTOP)
        begun = time.monotonic()
    assert not child.running
    assert time.monotonic() - begun < 30  # it was not killed


def test_child_that_ignores_sigterm_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("upstash_endpoint.children.GRACE_SECONDS", 0.2)
    with started(tmp_path / "log", IGNORE_SIGTERM + SLEEP) as child:
        pass
    assert not child.running


def test_killed_child_reports_its_signal(tmp_path: Path) -> None:
    child = started(tmp_path / "log", SLEEP)
    child.kill()
    with pytest.raises(PartFailed, match="sleeper exited with status 137"):
        child.check()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (
            [sys.executable, "-c", "import sys; sys.exit('no port left')"],
            r"server exited with status 1\n  \| no port left",
        ),
        (["/no/such/program"], "cannot run /no/such/program"),
    ],
)
def test_early_exit_is_reported_with_the_log(tmp_path: Path, argv: list[str], message: str) -> None:
    with (
        Child.start("server", argv, log=tmp_path / "log") as child,
        pytest.raises(PartFailed, match=message),
    ):
        child.wait_ready(lambda: False, seconds=60)


def test_timeout_of_a_wait_names_its_subject() -> None:
    with pytest.raises(PartFailed, match=r"the gate: not ready after 0.05 s"):
        wait_until(lambda: False, seconds=0.05, what="the gate")


def test_wait_continues_after_a_connection_error() -> None:
    results = iter([ConnectionRefusedError(), TimeoutError(), None])

    def probe() -> bool:
        if error := next(results):
            raise error
        return True

    wait_until(probe, seconds=60, what="the gate")
    assert list(results) == []


def test_preferred_port_is_returned_unless_it_is_taken() -> None:
    preferred = free_port()
    assert free_port(preferred) == preferred
    with socket.create_server(("127.0.0.1", preferred)):
        assert free_port(preferred) not in {0, preferred}


def test_free_ports_differ() -> None:
    assert len({free_port() for _ in range(5)}) > 1
