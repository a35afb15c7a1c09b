"""The stack in the emulated AWS: invoke its functions by name, by URL and by schedule."""

import json
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import httpx
from botocore.credentials import Credentials

from llm_cache._stack.function_url import emulator_url, json_headers, signed_headers
from local_cloud.aws.emulator import KEY, REGION, EmulatedAws
from local_cloud.stack.invocation import Invocation
from local_cloud.stack.process_table import processes, running
from upstash_endpoint.children import wait_until

ALIAS = "live"
_COPIED = ("GroupName", "FlexibleTimeWindow", "Target")


@dataclass(frozen=True, slots=True)
class EmulatedStack:
    """A stack in the emulated AWS, with its resources by logical id."""

    aws: EmulatedAws
    name: str
    outputs: Mapping[str, str]
    resources: Mapping[str, tuple[str, str]]
    """Type and physical id by logical id."""

    @classmethod
    def read(cls, aws: EmulatedAws, name: str) -> Self:
        """Read the outputs and the resources of a stack."""
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
        """Return the physical id of a resource."""
        return self.resources[logical][1]

    def only(self, kind: str) -> str:
        """Return the physical id of the stack's only resource of a type."""
        (found,) = [physical for type_, physical in self.resources.values() if type_ == kind]
        return found

    @property
    def functions(self) -> list[str]:
        """The logical ids of the functions."""
        kind = "AWS::Lambda::Function"
        return sorted(logical for logical, (type_, _) in self.resources.items() if type_ == kind)

    def invoke(self, function: str, event: object, *, qualifier: str = ALIAS) -> Invocation:
        """Invoke a function (logical id) and return its result."""
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
        """Send a request to a Function URL, signed with SigV4.

        `by` is the access key of the signer, and its secret. Threads may send at once.
        """
        data = b"" if body is None else json.dumps(body).encode()
        sent = {**json_headers(url), **(headers or {})}
        if signed:
            signer = Credentials(*by)
            sent = signed_headers(method, url, data, sent, credentials=signer, region=REGION)
        return self.aws.http.request(method, self.local(url), headers=sent, content=data)

    def local(self, url: str) -> str:
        """Return the loopback address of a Function URL; send its host as `Host` header."""
        return emulator_url(self.aws.endpoint_url, url)

    def fire_schedule(self, *, seconds: float = 60) -> list[str]:
        """Run the stack's schedule once, now, and return the log lines of its function.

        The scheduler runs a one-time copy of the deployed schedule, which itself stays unchanged.
        Raises PartFailed if the function has not ended after `seconds`.
        """
        scheduler, began = self.aws.client("scheduler"), time.time()
        deployed = scheduler.get_schedule(Name=self.only("AWS::Scheduler::Schedule"))
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(began))
        scheduler.create_schedule(
            Name=f"once-{time.time_ns()}",
            ScheduleExpression=f"at({moment})",
            ActionAfterCompletion="DELETE",
            **{part: deployed[part] for part in _COPIED},
        )
        function = deployed["Target"]["Arn"].split(":")[6]
        logged: list[str] = []

        def ended() -> bool:
            logged[:] = self.logs(function, since=began)
            return any(line.startswith("REPORT") for line in logged)

        wait_until(ended, seconds=seconds, what="the scheduled function", child=self.aws.child)
        return logged

    def logs(self, function: str, *, since: float = 0) -> list[str]:
        """Return the log lines of a function (physical name) since a time, in order."""
        config = self.aws.client("lambda").get_function_configuration(FunctionName=function)
        group = config.get("LoggingConfig", {}).get("LogGroup", f"/aws/lambda/{function}")
        client = self.aws.client("logs")
        try:
            events = client.filter_log_events(logGroupName=group, startTime=int(since * 1000))
        except client.exceptions.ResourceNotFoundException:
            return []  # it has not run yet
        return [event["message"] for event in events["events"]]

    def kill_environments(self, function: str) -> int:
        """Kill the warm environments of a function (logical id), and return their number.

        The function's next call is a cold start.
        """
        folder = f"{self.aws.folder}{os.sep}ministack-lambda-{self.physical(function)}-"
        found = [pid for pid, command in processes() if folder in command]
        for pid in found:
            os.kill(pid, signal.SIGKILL)
        wait_until(
            lambda: not any(running(pid) for pid in found),
            seconds=10,
            what="the end of the killed environments",
        )
        return len(found)
