"""Child processes that never outlive their parent, and waiting for them to come up.

Each child runs under a guard process (`_guard.py`) that ends it when this process ends, in any way.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

GRACE_SECONDS = 5.0
"""How long a child may take to stop by itself before it is killed."""

_GUARD = Path(__file__).with_name("_guard.py")
_TAIL_LINES = 20
_POLL_SECONDS = 0.02


class PartFailed(RuntimeError):
    """A part of the local cloud did not come up or has stopped; the message names it."""


@dataclass(frozen=True, slots=True)
class Child:
    """A running program whose output goes to `log`, and which ends when this process does.

    What the child itself starts ends with it, unless it moved to another process group.
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
        """Start the program `argv`, appending what it prints to `log`.

        `env` is the whole environment of the child; by default this process's own. A program that
        cannot be run shows in `check`.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        guarded = [sys.executable, "-I", "-S", str(_GUARD), str(GRACE_SECONDS), *argv]
        line, guards_end = socket.socketpair()
        with log.open("ab") as output, guards_end:
            guard = subprocess.Popen(
                guarded,
                stdin=guards_end.fileno(),
                stdout=output,
                stderr=output,
                env=env,
                cwd=cwd,
                start_new_session=True,  # Ctrl-C reaches the parent, which stops in order
            )
        return cls(name, log, guard, line)

    @property
    def running(self) -> bool:
        """Whether the program still runs."""
        return self._guard.poll() is None

    @property
    def pid(self) -> int:
        """The process id of the guard, whose one child the program is."""
        return self._guard.pid

    def check(self) -> None:
        """Raise PartFailed, with the end of the log, if the program has exited."""
        status = self._guard.poll()
        if status is not None:
            raise PartFailed(f"{self.name} exited with status {status}{self.tail()}")

    def tail(self) -> str:
        """Return the end of the log as the end of an error message."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        lines = text.splitlines()[-_TAIL_LINES:]
        return "".join(f"\n  | {line}" for line in lines) + f"\n  (log: {self.log})"

    def wait(self) -> None:
        """Return when the program has ended by itself with status 0; else raise PartFailed."""
        status = self._guard.wait()
        self.stop()
        if status:
            self.check()

    def signal(self, signum: signal.Signals) -> None:
        """Send a signal to the program and to what it started, unless it has exited."""
        with contextlib.suppress(OSError):  # the guard, and so the program, is gone
            self._line.send(bytes([signum]))
            self._line.recv(1)

    def stop(self) -> None:
        """Ask the program to end, kill it after GRACE_SECONDS, and return when it is gone."""
        self._line.close()
        self._guard.wait()

    def kill(self) -> None:
        """Kill the program at once, as a crash would, and return when it is gone."""
        self.signal(signal.SIGKILL)
        self.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def wait_until(
    probe: Callable[[], bool], *, seconds: float, what: str, child: Child | None = None
) -> None:
    """Return as soon as `probe` answers true; an OSError in it counts as not yet.

    Raises PartFailed, naming `what`, after `seconds`, or at once when `child` has exited.
    """
    deadline = time.monotonic() + seconds
    while not _holds(probe):
        if child:
            child.check()
        if time.monotonic() >= deadline:
            tail = child.tail() if child else ""
            raise PartFailed(f"{what} did not come up within {seconds:g} s{tail}")
        time.sleep(_POLL_SECONDS)


def _holds(probe: Callable[[], bool]) -> bool:
    try:
        return probe()
    except OSError:
        return False
