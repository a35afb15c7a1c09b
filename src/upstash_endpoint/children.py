"""Start child processes that end with this process, and wait until they are ready.

Each child runs under a guard process (`_guard.py`), which ends it however this process ends.
"""

import contextlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

GRACE_SECONDS = 5.0
"""A child that has not stopped after this time is killed."""

_GUARD = Path(__file__).with_name("_guard.py")
_TAIL_LINES = 20
_POLL_SECONDS = 0.02


class PartFailed(RuntimeError):
    """A process has ended or is not ready in time; the message names it."""


@dataclass(frozen=True, slots=True)
class Child:
    """A program that writes its output to `log` and ends with this process.

    Its own child processes end with it, unless they are in another process group.
    """

    name: str
    log: Path
    _guard: subprocess.Popen[bytes]
    _line: socket.socket

    @classmethod
    def start(
        cls,
        name: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        log: Path,
    ) -> Self:
        """Start the program `argv`; its output is appended to `log`.

        `env` replaces the environment of this process. `check` raises if the program cannot run.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        guarded = [sys.executable, "-I", "-S", str(_GUARD), str(GRACE_SECONDS), *argv]
        line, guard_end = socket.socketpair()
        with log.open("ab") as output, guard_end:
            guard = subprocess.Popen(
                guarded,
                stdin=guard_end.fileno(),
                stdout=output,
                stderr=output,
                env=env,
                cwd=cwd,
                start_new_session=True,  # Ctrl-C reaches this process, which stops its children
            )
        return cls(name, log, guard, line)

    @property
    def running(self) -> bool:
        """Whether the program is running."""
        return self._guard.poll() is None

    @property
    def pid(self) -> int:
        """The process id of the guard, whose only child is the program."""
        return self._guard.pid

    def check(self) -> None:
        """Raise PartFailed, with the last lines of the log, if the program has exited."""
        status = self._guard.poll()
        if status is not None:
            raise PartFailed(f"{self.name} exited with status {status}{self.tail()}")

    def tail(self) -> str:
        """Return the last lines of the log, to append to an error message."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        lines = text.splitlines()[-_TAIL_LINES:]
        return "".join(f"\n  | {line}" for line in lines) + f"\n  (log: {self.log})"

    def wait(self) -> None:
        """Wait until the program ends; raise PartFailed unless its status is 0."""
        status = self._guard.wait()
        self.stop()
        if status:
            self.check()

    def signal(self, signum: signal.Signals) -> None:
        """Send a signal to the program and its child processes, unless it has exited."""
        with contextlib.suppress(OSError):  # the guard, and so the program, has ended
            self._line.send(bytes([signum]))
            self._line.recv(1)

    def stop(self) -> None:
        """Send SIGTERM, kill the program after GRACE_SECONDS, and return when it has ended."""
        self._line.close()
        self._guard.wait()

    def kill(self) -> None:
        """Kill the program at once, as a crash would, and return when it has ended."""
        self.signal(signal.SIGKILL)
        self.stop()

    def wait_ready(self, probe: Callable[[], bool], *, seconds: float) -> None:
        """Return as soon as `probe` returns true; see `wait_until`."""
        wait_until(probe, seconds=seconds, what=self.name, child=self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def free_port(preferred: int = 0) -> int:
    """Return an unused TCP port of 127.0.0.1: `preferred`, or another if that one is taken."""
    try:
        with socket.create_server(("127.0.0.1", preferred)) as server:
            port: int = server.getsockname()[1]
            return port
    except OSError:
        if not preferred:
            raise
        return free_port()


def wait_until(
    probe: Callable[[], bool], *, seconds: float, what: str, child: Child | None = None
) -> None:
    """Return as soon as `probe` returns true; an OSError in it counts as false.

    Raises PartFailed, with the name `what`, after `seconds`, or at once if `child` has exited.
    """
    deadline = time.monotonic() + seconds
    while not _holds(probe):
        if child:
            child.check()
        if time.monotonic() >= deadline:
            tail = child.tail() if child else ""
            raise PartFailed(f"{what}: not ready after {seconds:g} s{tail}")
        time.sleep(_POLL_SECONDS)


def _holds(probe: Callable[[], bool]) -> bool:
    try:
        return probe()
    except OSError:
        return False
