"""A deployed stack, as CloudFormation knows it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from botocore.exceptions import ClientError

from deployment.failure import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# Parameters by which a stack is known to be this kit's, whatever became of its resources.
OURS = {"UpstashUrlParameter", "UpstashTokenParameter", "CacheTtlCeiling", "FlushSchedule"}
UNBORN = "REVIEW_IN_PROGRESS"  # a change set waits, and there is no resource yet
POLL_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Stack:
    """Its name, the values of its parameters, its outputs, and how it is."""

    name: str
    parameters: Mapping[str, str]
    outputs: Mapping[str, str]
    status: str = "CREATE_COMPLETE"

    @classmethod
    def find(cls, cloudformation: Any, name: str) -> Self | None:
        """Return the stack of that name (or of that id, deleted or not), or None."""
        try:
            (stack,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        return cls._of(stack)

    @classmethod
    def read(cls, cloudformation: Any, name: str) -> Self:
        """Return the kit's stack of that name; raise Failure, which names those that there are."""
        stack = cls.find(cloudformation, name)
        if stack is None or stack.status == UNBORN:
            raise Failure(f"STACK={name} does not exist{cls._named(cloudformation)}")
        if not stack.ours:
            raise Failure(f"STACK={name} is not a stack of this kit{cls._named(cloudformation)}")
        return stack

    @classmethod
    def settled(cls, cloudformation: Any, name: str, say: Callable[[str], None]) -> Self | None:
        """Return the stack when CloudFormation does nothing with it any more, or None."""
        said = ""
        while (stack := cls.find(cloudformation, name)) and stack.moves:
            if stack.status != said:
                said = stack.status
                say(f"waiting for {name}, which is {said} (Ctrl-C stops the waiting alone)")
            time.sleep(POLL_SECONDS)
        return stack

    @classmethod
    def _of(cls, described: Mapping[str, Any]) -> Self:
        parameters, outputs = described.get("Parameters", []), described.get("Outputs", [])
        return cls(
            described["StackName"],
            {it["ParameterKey"]: it["ParameterValue"] for it in parameters},
            {it["OutputKey"]: it["OutputValue"] for it in outputs},
            described["StackStatus"],
        )

    @classmethod
    def _named(cls, cloudformation: Any) -> str:
        """Return which stacks of the kit the region has."""
        where = f" in {cloudformation.meta.region_name}"
        try:
            pages = cloudformation.get_paginator("describe_stacks").paginate()
            stacks = [cls._of(it) for page in pages for it in page["Stacks"]]
        except ClientError:  # without the permission to list stacks, the error names none
            return where
        names = sorted(it.name for it in stacks if it.ours and it.status != UNBORN)
        if not names:
            return f"{where}; the kit has no stack there yet: make deploy"
        return f"{where}; the kit has STACK={' and STACK='.join(names)} there"

    @property
    def ours(self) -> bool:
        """Whether it is a stack of this kit."""
        return self.parameters.keys() >= OURS

    @property
    def moves(self) -> bool:
        """Whether CloudFormation works on it."""
        return self.status.endswith("_IN_PROGRESS") and self.status != UNBORN

    def output(self, name: str) -> str:
        """Return an output; raise Failure for a stack that has none."""
        if name not in self.outputs:
            raise Failure(
                f"STACK={self.name} is {self.status} and has no output {name}; `make deploy` with"
                " the same variables mends it, or says how"
            )
        return self.outputs[name]

    def log_groups(self, cloudformation: Any) -> list[str]:
        """Return the names of the functions' log groups."""
        pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=self.name)
        return [
            resource["PhysicalResourceId"]
            for page in pages
            for resource in page["StackResourceSummaries"]
            if resource["ResourceType"] == "AWS::Logs::LogGroup"
        ]


def waiting_change_sets(cloudformation: Any, name: str) -> set[str]:
    """Return the change sets of a stack that nobody has executed, such as a declined one."""
    if Stack.find(cloudformation, name) is None:
        return set()
    pages = cloudformation.get_paginator("list_change_sets").paginate(StackName=name)
    found = [it for page in pages for it in page["Summaries"]]
    return {it["ChangeSetId"] for it in found if it.get("ExecutionStatus") == "AVAILABLE"}


def first_failure(cloudformation: Any, name: str) -> str:
    """Return which resource failed first in the last operation on a stack, and why, or nothing."""
    pages = cloudformation.get_paginator("describe_stack_events").paginate(StackName=name)
    first = ""
    for event in (event for page in pages for event in page["StackEvents"]):  # the latest first
        reason = event.get("ResourceStatusReason", "")
        if "FAILED" in event["ResourceStatus"] and reason and "cancelled" not in reason:
            first = f"{event['LogicalResourceId']}: {reason}"
        if reason == "User Initiated":
            break
    return first
