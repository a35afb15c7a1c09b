"""An execution environment: one process of AWS's own runtime client, for one function."""

import json
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from queue import Empty
from typing import Self

from local_cloud.aws.emulator import NO_ACCOUNT
from local_cloud.checkout.tool_environments import bare_environment, interpreter
from local_cloud.lambda_runtime.deployed_function import DeployedFunction
from local_cloud.lambda_runtime.runtime_api import PendingInvocation, RuntimeApi, RuntimeReport
from local_cloud.stack.invocation import Invocation
from upstash_endpoint.children import Child, PartFailed

INIT_SECONDS = 60
_POLL_SECONDS = 0.01
_ESTABLISHED = "01"  # in /proc/net/tcp


class InitFailed(PartFailed):
    """The function could not be initialised; the message holds the runtime's report."""


@dataclass(slots=True)
class ExecutionEnvironment:
    """An initialised process that runs one invocation at a time.

    `init_seconds` lasts from the start of the process to its first poll or its snapshot, and
    includes some 30 ms of the guard process. A timeout or an exit ends the environment. The memory
    size is reported to the function, but not enforced.
    """

    deployed: DeployedFunction
    init_seconds: float
    _api: RuntimeApi
    _child: Child
    _frozen: bool = False

    @classmethod
    def start(
        cls,
        deployed: DeployedFunction,
        folder: Path,
        *,
        variables: Mapping[str, str] | None = None,
        snapstart: bool = False,
    ) -> Self:
        """Start the process and initialise the function.

        `variables` are added to the deployed ones. With `snapstart` the process is frozen at its
        snapshot until `restore`. Raises InitFailed; and PartFailed on systems other than Linux.
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
            self._wait_for_init()
            self.init_seconds = time.perf_counter() - began
            if snapstart:
                self.freeze()
        except BaseException:
            self.stop()
            raise
        return self

    def invoke(self, event: object) -> Invocation:
        """Invoke the function and return its result, at most after its deployed timeout.

        Thaws the environment first. Raises PartFailed if the process has ended.
        """
        self._child.check()
        self.thaw()
        timeout = self.deployed.timeout
        invocation = PendingInvocation(json.dumps(event).encode(), self.deployed.arn, timeout)
        began = time.perf_counter()
        self._api.pending.put(invocation)
        report = self._wait_for_report(timeout)
        seconds = time.perf_counter() - began
        error = None if report.kind == "response" else "Unhandled"
        return Invocation(json.loads(report.body or b"null"), error, seconds)

    def freeze(self) -> None:
        """Stop the process, as Lambda does between invocations."""
        self._child.signal(signal.SIGSTOP)
        self._child.wait_ready(lambda: self._state() == "T", seconds=5)
        self._frozen = True

    def thaw(self) -> None:
        """Continue a frozen process; time has passed for it."""
        if self._frozen:
            self._child.signal(signal.SIGCONT)
            self._frozen = False

    def restore(self) -> float:
        """Continue from the snapshot; return the seconds until the function is ready."""
        began = time.perf_counter()
        self.thaw()
        self._api.restored.set()
        self._wait_for_init()
        return time.perf_counter() - began

    def log(self) -> str:
        """Return the output of the function."""
        return self._child.log.read_text(errors="replace")

    def pid(self) -> int:
        """Return the id of the function's process."""
        guard = self._child.pid
        return int(Path(f"/proc/{guard}/task/{guard}/children").read_text().split()[0])

    def peak_memory(self) -> int:
        """Return the process's highest memory use so far, in bytes."""
        status = Path(f"/proc/{self.pid()}/status").read_text()
        (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) * 1024

    def connected_to(self) -> set[int]:
        """Return the remote TCP ports of the process's open connections.

        The Runtime API, and connections that the other end has closed, are left out.
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

    def _wait_for_init(self) -> None:
        deadline = time.monotonic() + INIT_SECONDS
        while not (self._api.polled.is_set() or self._at_snapshot()):
            if not self._api.reports.empty():
                raise InitFailed(self._api.reports.get().body.decode())
            if not self._child.running or time.monotonic() > deadline:
                raise InitFailed(f"{self.deployed.name} did not initialise{self._child.tail()}")
            self._api.polled.wait(_POLL_SECONDS)

    def _at_snapshot(self) -> bool:
        return self._api.snapshot_due.is_set() and not self._api.restored.is_set()

    def _wait_for_report(self, seconds: float) -> RuntimeReport:
        deadline = time.monotonic() + seconds
        while True:
            try:
                return self._api.reports.get(timeout=_POLL_SECONDS)
            except Empty:
                if not self._child.running:
                    return _error("Runtime.ExitError", "Runtime exited without a response")
                if time.monotonic() > deadline:
                    self._child.kill()
                    return _error("Sandbox.Timedout", f"Task timed out after {seconds:.2f} seconds")

    def _state(self) -> str:
        stat = Path(f"/proc/{self.pid()}/stat").read_text()
        return stat.rpartition(")")[2].split()[0]


def _error(kind: str, message: str) -> RuntimeReport:
    return RuntimeReport("error", json.dumps({"errorType": kind, "errorMessage": message}).encode())


def _environment(deployed: DeployedFunction, api: RuntimeApi) -> dict[str, str]:
    """Return the function's variables, overridden by those that Lambda defines."""
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
    return {**NO_ACCOUNT, **deployed.variables, **defined}
