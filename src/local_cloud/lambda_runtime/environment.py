"""One execution environment: one process of AWS's own runtime client over a deployed function."""

from __future__ import annotations

import json
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from queue import Empty
from typing import TYPE_CHECKING, Self

from local_cloud.aws.emulator import NOBODY
from local_cloud.lambda_runtime.api import Report, RuntimeApi, Task
from local_cloud.stack.invocation import Invocation
from local_cloud.tools import bare_environment, interpreter
from upstash_endpoint.children import Child, PartFailed, wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local_cloud.lambda_runtime.deployed import Deployed

INIT_SECONDS = 60
_POLL_SECONDS = 0.01
_ESTABLISHED = "01"  # as /proc/net/tcp has it


class InitFailed(PartFailed):
    """The function could not be initialised; the message holds what its runtime reported."""


@dataclass(slots=True)
class Environment:
    """A process that has been initialised and takes one invocation at a time.

    `init_seconds` counts from the start of the process to its first poll, or to its snapshot;
    some 30 ms of it are the guard's. After a timeout or an exit the environment is gone: start
    another. Memory is told to the function, not limited.
    """

    deployed: Deployed
    init_seconds: float
    _api: RuntimeApi
    _child: Child
    _frozen: bool = False

    @classmethod
    def start(
        cls,
        deployed: Deployed,
        folder: Path,
        *,
        variables: Mapping[str, str] | None = None,
        snapstart: bool = False,
    ) -> Self:
        """Start the process and initialise the function.

        `variables` are added to the deployed ones: where AWS is. With `snapstart` it stands still
        at its snapshot until `restore`. Raises InitFailed; and PartFailed but on Linux, the only
        platform that AWS's runtime client has wheels for.
        """
        if sys.platform != "linux":
            raise PartFailed("AWS's Lambda runtime client is published for Linux only")
        api = RuntimeApi()
        env = bare_environment(folder) | dict(variables or {}) | _environment(deployed, api)
        if snapstart:
            env["AWS_LAMBDA_INITIALIZATION_TYPE"] = "snap-start"
        argv = [interpreter("runtime"), "-m", "awslambdaric", deployed.handler]
        log, began = folder / "function.log", time.perf_counter()
        child = Child.start(deployed.name, argv, env=env, cwd=deployed.task, log=log)
        self = cls(deployed, 0, api, child)
        try:
            self._await_init()
            self.init_seconds = time.perf_counter() - began
            if snapstart:
                self.freeze()
        except BaseException:
            self.stop()
            raise
        return self

    def invoke(self, event: object) -> Invocation:
        """Invoke the function and wait for it, at most for its deployed timeout.

        Thaws the environment first. Raises PartFailed when the process was gone already.
        """
        self._child.check()
        self.thaw()
        task = Task(json.dumps(event).encode(), self.deployed.arn, self.deployed.timeout)
        began = time.perf_counter()
        self._api.tasks.put(task)
        report = self._await_report(self.deployed.timeout)
        seconds = time.perf_counter() - began
        error = None if report.kind == "response" else "Unhandled"
        return Invocation(json.loads(report.body or b"null"), error, seconds)

    def freeze(self) -> None:
        """Stop the process where it is, as Lambda does between invocations."""
        self._child.signal(signal.SIGSTOP)
        wait_until(lambda: self._state() == "T", seconds=5, what="the freeze", child=self._child)
        self._frozen = True

    def thaw(self) -> None:
        """Let a frozen process go on; its clock has gone on without it."""
        if self._frozen:
            self._child.signal(signal.SIGCONT)
            self._frozen = False

    def restore(self) -> float:
        """Go on from the snapshot; return the seconds until the function takes invocations."""
        began = time.perf_counter()
        self.thaw()
        self._api.restored.set()
        self._await_init()
        return time.perf_counter() - began

    def log(self) -> str:
        """Return all that the function has printed."""
        return self._child.log.read_text(errors="replace")

    def pid(self) -> int:
        """Return the id of the function's process."""
        guard = self._child.pid
        return int(Path(f"/proc/{guard}/task/{guard}/children").read_text().split()[0])

    def peak_memory(self) -> int:
        """Return the most bytes of memory that the process has had."""
        status = Path(f"/proc/{self.pid()}/status").read_text()
        (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) * 1024

    def connected_to(self) -> set[int]:
        """Return the TCP ports that the process is connected to, but for its Runtime API's.

        A connection whose other end has closed does not count.
        """
        pid = self.pid()
        opened = {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()}
        rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
        ports = {
            int(row[2].rpartition(":")[2], 16)
            for row in rows
            if row[3] == _ESTABLISHED and f"socket:[{row[9]}]" in opened
        }
        return ports - {self._api.server_port}

    def stop(self) -> None:
        """End the process."""
        self._child.kill()
        self._api.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _await_init(self) -> None:
        deadline = time.monotonic() + INIT_SECONDS
        while not (self._api.polled.is_set() or self._at_snapshot()):
            if not self._api.reports.empty():
                raise InitFailed(self._api.reports.get().body.decode())
            if not self._child.running or time.monotonic() > deadline:
                raise InitFailed(f"{self.deployed.name} did not initialise{self._child.tail()}")
            self._api.polled.wait(_POLL_SECONDS)

    def _at_snapshot(self) -> bool:
        return self._api.snapshot_due.is_set() and not self._api.restored.is_set()

    def _await_report(self, seconds: float) -> Report:
        deadline = time.monotonic() + seconds
        while True:
            try:
                return self._api.reports.get(timeout=_POLL_SECONDS)
            except Empty:
                if not self._child.running:
                    return _failure("Runtime.ExitError", "Runtime exited without a response")
                if time.monotonic() > deadline:
                    self._child.kill()
                    return _failure(
                        "Sandbox.Timedout", f"Task timed out after {seconds:.2f} seconds"
                    )

    def _state(self) -> str:
        stat = Path(f"/proc/{self.pid()}/stat").read_text()
        return stat.rpartition(")")[2].split()[0]


def _failure(kind: str, message: str) -> Report:
    return Report("error", json.dumps({"errorType": kind, "errorMessage": message}).encode())


def _environment(deployed: Deployed, api: RuntimeApi) -> dict[str, str]:
    """Return the variables that Lambda defines, over those of the function."""
    python = deployed.runtime
    opt = deployed.opt / "python"
    path = [deployed.task, opt / "lib" / python / "site-packages", opt]
    defined = {
        "_HANDLER": deployed.handler,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{python}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(deployed.memory),
        "AWS_LAMBDA_FUNCTION_NAME": deployed.name,
        "AWS_LAMBDA_FUNCTION_VERSION": deployed.version,
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_FORMAT": deployed.logging.get("LogFormat", "Text"),
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{deployed.name}",
        "AWS_LAMBDA_LOG_LEVEL": deployed.logging.get("ApplicationLogLevel", ""),
        "AWS_LAMBDA_LOG_STREAM_NAME": "local",
        "AWS_LAMBDA_RUNTIME_API": api.address,
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "LAMBDA_TASK_ROOT": str(deployed.task),
        "PYTHONPATH": ":".join(map(str, path)),
        "TZ": ":UTC",
    }
    return {**NOBODY, **deployed.variables, **defined}
