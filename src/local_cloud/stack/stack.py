"""The deployed stack, used as its callers use it: by name, by its URL, by its schedule."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from botocore.credentials import Credentials

from local_cloud.aws.emulator import KEY, REGION
from local_cloud.stack import signing
from local_cloud.stack.invocation import Invocation
from upstash_endpoint.children import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import httpx

    from local_cloud.aws.emulator import Aws

ALIAS = "live"
PROC = Path("/proc")
_ONE_TIME = ("GroupName", "FlexibleTimeWindow", "Target")


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack in the emulated AWS; resources go by their logical ids in the template."""

    aws: Aws
    name: str
    outputs: Mapping[str, str]
    resources: Mapping[str, tuple[str, str]]
    """Type and physical id by logical id."""

    @classmethod
    def read(cls, aws: Aws, name: str) -> Self:
        """Read the outputs and resources of the stack called `name`."""
        client = aws.client("cloudformation")
        stack = client.describe_stacks(StackName=name)["Stacks"][0]
        outputs = {item["OutputKey"]: item["OutputValue"] for item in stack.get("Outputs", [])}
        found = client.describe_stack_resources(StackName=name)["StackResources"]
        resources = {
            item["LogicalResourceId"]: (item["ResourceType"], item["PhysicalResourceId"])
            for item in found
        }
        return cls(aws, name, outputs, resources)

    def physical(self, logical: str) -> str:
        """Return the name that a resource has in the account."""
        return self.resources[logical][1]

    def only(self, kind: str) -> str:
        """Return the physical id of the stack's one resource of this type."""
        (found,) = [physical for type_, physical in self.resources.values() if type_ == kind]
        return found

    @property
    def functions(self) -> list[str]:
        """The logical ids of the stack's functions."""
        kind = "AWS::Lambda::Function"
        return sorted(logical for logical, (type_, _) in self.resources.items() if type_ == kind)

    def invoke(self, function: str, event: object, *, qualifier: str = ALIAS) -> Invocation:
        """Invoke a function by its logical id and wait for what it returns."""
        began = time.perf_counter()
        reply = self.aws.client("lambda").invoke(
            FunctionName=self.physical(function),
            Qualifier=qualifier,
            Payload=json.dumps(event).encode(),
        )
        payload = json.loads(reply["Payload"].read())
        return Invocation(payload, reply.get("FunctionError"), time.perf_counter() - began)

    def request(
        self,
        method: str,
        url: str,
        *,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        signed: bool = True,
        by: tuple[str, str] = (KEY, KEY),
    ) -> httpx.Response:
        """Send a request to a Function URL, signed with SigV4, as AWS would receive it.

        `by` is the access key that signs, and its secret.

        It goes to the emulator's address with the URL's host in its Host header. Any number of
        threads may send at once.
        """
        data = b"" if body is None else json.dumps(body).encode()
        sent = {**signing.of_json(url), **(headers or {})}
        if signed:
            sent = signing.signed(
                method, url, data, sent, credentials=Credentials(*by), region=REGION
            )
        return self.aws.http.request(method, self.local(url), headers=sent, content=data)

    def local(self, url: str) -> str:
        """Return where a Function URL is reached on loopback (with its host as Host header)."""
        return signing.at(self.aws.endpoint_url, url)

    def fire_schedule(self, *, seconds: float = 60) -> list[str]:
        """Let the scheduler run the stack's schedule once, now; return what its function logged.

        It gets a one-time copy of the schedule as deployed (target, role, retries, dead letters),
        which deletes itself, so the schedule stays what it was and may be off. Raises PartFailed
        when the function has not ended within `seconds`.
        """
        scheduler, began = self.aws.client("scheduler"), time.time()
        deployed = scheduler.get_schedule(Name=self.only("AWS::Scheduler::Schedule"))
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(began))
        scheduler.create_schedule(
            Name=f"once-{time.time_ns()}",
            ScheduleExpression=f"at({moment})",
            ActionAfterCompletion="DELETE",
            **{part: deployed[part] for part in _ONE_TIME},
        )
        function = deployed["Target"]["Arn"].split(":")[6]
        logged: list[str] = []

        def ended() -> bool:
            logged[:] = self.logs(function, since=began)
            return any(line.startswith("REPORT") for line in logged)

        wait_until(ended, seconds=seconds, what="the scheduled function", child=self.aws.child)
        return logged

    def logs(self, function: str, *, since: float = 0) -> list[str]:
        """Return the lines a function (its physical name) has logged since a moment, in order."""
        config = self.aws.client("lambda").get_function_configuration(FunctionName=function)
        group = config.get("LoggingConfig", {}).get("LogGroup", f"/aws/lambda/{function}")
        client = self.aws.client("logs")
        try:
            events = client.filter_log_events(logGroupName=group, startTime=int(since * 1000))
        except client.exceptions.ResourceNotFoundException:
            return []  # it has not run yet
        return [event["message"] for event in events["events"]]

    def kill_environments(self, function: str) -> int:
        """Kill the warm environments of a function (its logical id); the next call starts cold.

        Returns how many there were.
        """
        folder = f"{self.aws.folder}{os.sep}ministack-lambda-{self.physical(function)}-"
        found = [pid for pid, command in _processes() if folder in command]
        for pid in found:
            os.kill(pid, signal.SIGKILL)
        wait_until(
            lambda: not any(_running(pid) for pid in found), seconds=10, what="the end of them"
        )
        return len(found)


def _processes() -> Iterator[tuple[int, str]]:
    """Yield the id and the command line of every process; a small Linux has no `ps`."""
    if not PROC.is_dir():
        yield from _ps("-axww", "command=")
        return
    for folder in PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            yield int(folder.name), (folder / "cmdline").read_text(errors="replace")


def _running(pid: int) -> bool:
    # A killed process loses its command line first; only then, as a zombie, is it over.
    if not PROC.is_dir():
        return any(not state.startswith("Z") for _, state in _ps("-p", str(pid), "stat="))
    try:
        return "\nState:\tZ" not in (PROC / str(pid) / "status").read_text()
    except OSError:
        return False


def _ps(*arguments: str) -> list[tuple[int, str]]:
    command = ["ps", *arguments[:-1], "-o", "pid=", "-o", arguments[-1]]
    listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    rows = [line.split(maxsplit=1) for line in listed.splitlines()]
    return [(int(row[0]), row[1]) for row in rows if len(row) == 2]  # noqa: PLR2004
