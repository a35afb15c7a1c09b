"""Read a deployed stack from CloudFormation."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from botocore.exceptions import ClientError

from deployment.command_failure import CommandFailure

# The parameters that identify a stack of this kit, even without resources.
KIT_PARAMETERS = {
    "UpstashUrlParameter",
    "UpstashTokenParameter",
    "CacheTtlCeiling",
    "FlushSchedule",
}
EMPTY = "REVIEW_IN_PROGRESS"  # a change set was never executed, so there are no resources
POLL_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class DeployedStack:
    """The name, the parameters, the outputs and the status of a stack."""

    name: str
    parameters: Mapping[str, str]
    outputs: Mapping[str, str]
    status: str = "CREATE_COMPLETE"

    @classmethod
    def find(cls, cloudformation: Any, name: str) -> Self | None:
        """Return the stack with this name, or with this id even if deleted; else None."""
        try:
            (stack,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        return cls._of(stack)

    @classmethod
    def read(cls, cloudformation: Any, name: str) -> Self:
        """Return the kit's stack of this name; raise CommandFailure with the names of others."""
        stack = cls.find(cloudformation, name)
        if stack is None or stack.status == EMPTY:
            raise CommandFailure(f"STACK={name} does not exist{cls._known(cloudformation)}")
        if not stack.is_kit:
            raise CommandFailure(
                f"STACK={name} is not a stack of this kit{cls._known(cloudformation)}"
            )
        return stack

    @classmethod
    def wait_until_settled(
        cls, cloudformation: Any, name: str, report: Callable[[str], None]
    ) -> Self | None:
        """Return the stack, or None, after CloudFormation has finished its operation."""
        reported = ""
        while (stack := cls.find(cloudformation, name)) and stack.in_progress:
            if stack.status != reported:
                reported = stack.status
                report(f"waiting for {name}, which is {reported} (Ctrl-C ends only the wait)")
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
    def _known(cls, cloudformation: Any) -> str:
        """Return the region and the names of the kit's stacks in it, for an error message."""
        where = f" in {cloudformation.meta.region_name}"
        try:
            pages = cloudformation.get_paginator("describe_stacks").paginate()
            stacks = [cls._of(it) for page in pages for it in page["Stacks"]]
        except ClientError:  # without permission to list stacks
            return where
        names = sorted(it.name for it in stacks if it.is_kit and it.status != EMPTY)
        if not names:
            return f"{where}; the kit has no stack there: run make deploy"
        return f"{where}; the kit has STACK={' and STACK='.join(names)} there"

    @property
    def is_kit(self) -> bool:
        """Whether this is a stack of the kit."""
        return self.parameters.keys() >= KIT_PARAMETERS

    @property
    def in_progress(self) -> bool:
        """Whether a CloudFormation operation is running."""
        return self.status.endswith("_IN_PROGRESS") and self.status != EMPTY

    def output(self, name: str) -> str:
        """Return an output; raise CommandFailure if the stack has none."""
        if name not in self.outputs:
            raise CommandFailure(
                f"STACK={self.name} is {self.status} and has no output {name}: run `make deploy`"
                " with the same variables"
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
    """Return the ids of change sets that were not executed, for example declined."""
    if DeployedStack.find(cloudformation, name) is None:
        return set()
    pages = cloudformation.get_paginator("list_change_sets").paginate(StackName=name)
    found = [it for page in pages for it in page["Summaries"]]
    return {it["ChangeSetId"] for it in found if it.get("ExecutionStatus") == "AVAILABLE"}


def first_failure(cloudformation: Any, name: str) -> str:
    """Return the first resource that failed in the last operation, with the reason, or ''."""
    pages = cloudformation.get_paginator("describe_stack_events").paginate(StackName=name)
    first = ""
    for event in (event for page in pages for event in page["StackEvents"]):  # latest first
        reason = event.get("ResourceStatusReason", "")
        if "FAILED" in event["ResourceStatus"] and reason and "cancelled" not in reason:
            first = f"{event['LogicalResourceId']}: {reason}"
        if reason == "User Initiated":
            break
    return first
