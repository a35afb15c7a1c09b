"""Kills a process with SIGKILL at a chosen step of what it does, a step being one request."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import IO, Any

from tests.faults.proxy import Forward, reset
from tests.faults.victims import Job


class Moment(Enum):
    """When, within a step, a process is killed."""

    BEFORE = "before the request was sent"
    HALF = "half of the request sent"
    RAN = "the command run, no reply"
    REPLIED = "the reply sent"


@dataclass
class Killer:
    """A fault that serves every request well, until it kills who sends them.

    ``step`` is the request at which it does that, counted from 0; without one it is for ``kill``.
    After the kill nothing more is run, so that what is in Redis is what ``ran`` requests left.
    """

    moment: Moment | None = None
    step: int = -1
    victim: Future[int] = field(default_factory=Future)
    """The process, once it is known."""
    ran: int = 0
    killed: bool = False
    _turn: threading.RLock = field(default_factory=threading.RLock)

    def kill(self) -> None:
        """Kill now; return when nothing that it has sent is still to be run."""
        os.kill(self.victim.result(), signal.SIGKILL)
        with self._turn:
            self.killed = True

    def __call__(self, connection: socket.socket, forward: Forward) -> None:
        with self._turn:
            if self.killed:
                reset(connection)
            elif self.ran == self.step:
                self._kill_here(connection, forward)
            else:
                connection.sendall(self._run(forward))

    def _run(self, forward: Forward) -> bytes:
        reply = forward()
        self.ran += 1
        return reply

    def _kill_here(self, connection: socket.socket, forward: Forward) -> None:
        if self.moment in (Moment.RAN, Moment.REPLIED):
            reply = self._run(forward)
            if self.moment is Moment.REPLIED:
                connection.sendall(reply)
        self.killed = True  # before the process ends: who waits for its end looks then
        self.kill()
        if self.moment is Moment.HALF:
            forward.half()


class Nursery:
    """Starts processes from one that has imported all they need, and has no threads."""

    def __init__(self, to: IO[str], told: IO[str]) -> None:
        self._to, self._told = to, told

    def start(self, job: Job) -> int:
        """Start a process and return its id; it is to be waited for before the next."""
        print(job.as_json, file=self._to, flush=True)
        pid: int = self._next()["pid"]
        return pid

    def wait(self, pid: int) -> list[dict[str, Any]]:
        """Wait until a process is killed, and kill it once it is done; return what it told."""
        told = []
        while "ended" not in (line := self._next()):
            if "done" in line:
                with suppress(ProcessLookupError):  # killed when it had just said so
                    os.kill(pid, signal.SIGKILL)
            else:
                told.append(line)
        assert line["ended"] == -signal.SIGKILL, "it failed by itself"
        return told

    def _next(self) -> dict[str, Any]:
        line: dict[str, Any] = json.loads(self._told.readline())
        return line


@contextmanager
def nursery(checkout: Path, empty: Path) -> Iterator[Nursery]:
    """Have processes started inside the block; ``empty`` is a folder with nothing in it."""
    command = [sys.executable, "-W", "error", "-m", "tests.faults.victims"]
    # the endpoint speaks plain HTTP, and to read the certificates takes each of them a while
    environment = {**os.environ, "SSL_CERT_DIR": str(empty)}
    environment.pop("SSL_CERT_FILE", None)  # it would win
    with subprocess.Popen(
        command,
        cwd=checkout,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as program:
        assert program.stdin
        assert program.stdout
        try:
            yield Nursery(program.stdin, program.stdout)
        finally:
            os.killpg(program.pid, signal.SIGKILL)
