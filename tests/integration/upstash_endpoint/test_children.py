import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from upstash_endpoint.children import Child, PartFailed, free_port, wait_until

SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]
IGNORE_SIGTERM = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
STUBBORN = [SLEEP[0], "-c", IGNORE_SIGTERM + SLEEP[2]]
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


def says(log: Path, words: int = 1) -> bool:
    return log.exists() and len(log.read_text().split()) >= words


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")  # a zombie that nobody reaps is as good as gone
    return not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def test_child_and_its_own_children_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PARENT), str(log)], stdin=subprocess.PIPE
    )
    wait_until(lambda: says(log, 2), seconds=60, what="the grandchild")
    pids = [int(pid) for pid in log.read_text().split()]
    assert all(alive(pid) for pid in pids)

    parent.kill()

    wait_until(lambda: not any(alive(pid) for pid in pids), seconds=60, what="the end")
    parent.communicate()


def test_what_an_ended_child_started_ends_with_it(tmp_path: Path) -> None:
    leave = f"import subprocess; print(subprocess.Popen({SLEEP!r}).pid)"
    child = Child.start("leaver", [sys.executable, "-c", leave], log=tmp_path / "log")
    wait_until(lambda: not child.running, seconds=60, what="the end of the child")
    grandchild = int(next(word for word in child.log.read_text().split() if word.isdigit()))
    wait_until(lambda: not alive(grandchild), seconds=60, what="the end of the grandchild")
    child.stop()


@pytest.fixture
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kill nothing that may end by itself."""
    monkeypatch.setattr("upstash_endpoint.children.GRACE_SECONDS", 60.0)


@pytest.mark.usefixtures("_patient")
def test_child_stops_by_itself_when_asked(tmp_path: Path) -> None:
    with Child.start("sleeper", SLEEP, log=tmp_path / "log") as child:
        wait_until(lambda: says(child.log), seconds=60, what="the sleeper", child=child)
        assert child.running
        begun = time.monotonic()
    assert not child.running
    assert time.monotonic() - begun < 30


def test_child_that_ignores_the_request_to_stop_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("upstash_endpoint.children.GRACE_SECONDS", 0.2)
    with Child.start("mule", STUBBORN, log=tmp_path / "log") as child:
        wait_until(lambda: says(child.log), seconds=60, what="the mule", child=child)
    assert not child.running


@pytest.mark.usefixtures("_patient")
def test_stopped_child_still_ends(tmp_path: Path) -> None:
    with Child.start("sleeper", SLEEP, log=tmp_path / "log") as child:
        wait_until(lambda: says(child.log), seconds=60, what="the sleeper", child=child)
        child.signal(signal.SIGSTOP)
        begun = time.monotonic()
    assert time.monotonic() - begun < 30


def test_killed_child_reports_the_signal_that_ended_it(tmp_path: Path) -> None:
    child = Child.start("sleeper", SLEEP, log=tmp_path / "log")
    wait_until(lambda: says(child.log), seconds=60, what="the sleeper", child=child)
    child.kill()
    with pytest.raises(PartFailed, match="sleeper exited with status 137"):
        child.check()


def test_early_exit_is_reported_with_the_end_of_the_log(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", "import sys; sys.exit('no port left')"]
    with (
        Child.start("server", argv, log=tmp_path / "log") as child,
        pytest.raises(PartFailed, match=r"server exited with status 1\n  \| no port left"),
    ):
        wait_until(lambda: False, seconds=60, what="the server", child=child)


def test_program_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with (
        Child.start("server", ["/no/such/program"], log=tmp_path / "log") as child,
        pytest.raises(PartFailed, match="cannot run /no/such/program"),
    ):
        wait_until(lambda: False, seconds=60, what="the server", child=child)


def test_part_that_does_not_come_up_in_time_is_named() -> None:
    with pytest.raises(PartFailed, match=r"the gate did not come up within 0.05 s"):
        wait_until(lambda: False, seconds=0.05, what="the gate")


def test_probe_that_cannot_connect_means_not_yet() -> None:
    answers = iter([ConnectionRefusedError(), TimeoutError(), None])

    def probe() -> bool:
        if error := next(answers):
            raise error
        return True

    wait_until(probe, seconds=60, what="the gate")


def test_free_ports_differ() -> None:
    assert len({free_port() for _ in range(5)}) > 1
