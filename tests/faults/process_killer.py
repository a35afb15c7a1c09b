"""Kill a process with SIGKILL at a chosen request of its operation."""

import os
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from multiprocessing import forkserver, get_context
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.faults.faulty_proxy import Forward
from tests.faults.killable_process import Job, perform_until_killed
from tests.faults.socket_servers import reset


class Moment(Enum):
    """When a process is killed, within one request."""

    BEFORE = "before the request"
    HALF = "half of the request sent"
    RAN = "command run, no reply"
    REPLIED = "reply sent"


@dataclass
class Killer:
    """Forwards requests, and kills the process at request number ``step``, or by ``kill``.

    Nothing runs after the kill: Redis holds the result of ``ran`` requests.
    """

    moment: Moment | None = None
    step: int = -1
    process: Future[BaseProcess] = field(default_factory=Future)
    ran: int = 0
    killed: bool = False
    _turn: threading.RLock = field(default_factory=threading.RLock)

    def kill(self) -> None:
        """Kill now; return when no request still runs."""
        self.process.result().kill()
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
        self.killed = True  # set before the process ends, when the test reads it
        self.kill()
        if self.moment is Moment.HALF:
            forward.half()


@contextmanager
def fork_server(empty_folder: Path) -> Iterator[BaseContext]:
    """Start a server without threads that has warmed up; yield its way to fork processes."""
    # The endpoint speaks plain HTTP; without certificates to read, each process starts sooner.
    with patch.dict(os.environ, SSL_CERT_DIR=str(empty_folder)):
        os.environ.pop("SSL_CERT_FILE", None)  # it would take precedence
        context = get_context("forkserver")
        context.set_forkserver_preload(["pytest", "tests.faults.warmed_up"])
        forkserver.ensure_running()
    yield context
    forkserver._forkserver._stop()  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Killable:
    process: BaseProcess
    pipe: Connection

    @classmethod
    def start(cls, context: BaseContext, job: Job) -> "Killable":
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=perform_until_killed, args=(job, theirs))  # type: ignore[attr-defined]
        process.start()
        theirs.close()
        return cls(process, ours)

    def wait(self) -> list[Any]:
        """Return the reports; kill the process at its end, unless it was killed before."""
        reports = []
        with suppress(EOFError):
            while (report := self.pipe.recv()) is not None:
                reports.append(report)
            self.process.kill()
        self.process.join()
        self.pipe.close()
        assert self.process.exitcode == -signal.SIGKILL, "the process failed by itself"
        return reports
