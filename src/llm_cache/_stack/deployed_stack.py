"""Read a deployed stack from CloudFormation."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from llm_cache._stack.command_failure import CommandFailure

# The parameters that identify a stack of this kit, even without resources.
KIT_PARAMETERS = {
    "UpstashUrlParameter",
    "UpstashTokenParameter",
    "CacheTtlCeiling",
    "FlushSchedule",
}
EMPTY = "REVIEW_IN_PROGRESS"  # a change set was never executed, so there are no resources


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
        except cloudformation.exceptions.ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        return cls._of(stack)

    @classmethod
    def read(cls, cloudformation: Any, name: str) -> Self:
        """Return the kit's stack of this name; raise CommandFailure with the names of others."""
        stack = cls.find(cloudformation, name)
        if stack is None or stack.status == EMPTY:
            raise CommandFailure(f"the stack {name} does not exist{cls._known(cloudformation)}")
        if not stack.is_kit:
            raise CommandFailure(
                f"the stack {name} is not a stack of this kit{cls._known(cloudformation)}"
            )
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
        except cloudformation.exceptions.ClientError:  # without permission to list stacks
            return where
        names = sorted(it.name for it in stacks if it.is_kit and it.status != EMPTY)
        if not names:
            return f"{where}; the kit has no stack there: run make deploy"
        return f"{where}; the kit's stacks there: {', '.join(names)}"

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
                f"the stack {self.name} is {self.status} and has no output {name}:"
                " run `make deploy` with the same variables"
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
