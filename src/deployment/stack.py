"""A deployed stack, as CloudFormation knows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from botocore.exceptions import ClientError

from deployment.failure import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Stack:
    """Its name, the values of its parameters, and its outputs."""

    name: str
    parameters: Mapping[str, str]
    outputs: Mapping[str, str]

    @classmethod
    def find(cls, cloudformation: Any, name: str) -> Self | None:
        """Return the stack of that name, or None: there is none, or none that came to be."""
        try:
            (stack,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        if stack["StackStatus"] == "REVIEW_IN_PROGRESS":
            return None
        parameters, outputs = stack.get("Parameters", []), stack.get("Outputs", [])
        return cls(
            name,
            {it["ParameterKey"]: it["ParameterValue"] for it in parameters},
            {it["OutputKey"]: it["OutputValue"] for it in outputs},
        )

    @classmethod
    def read(cls, cloudformation: Any, name: str) -> Self:
        """Return the stack of that name; raise Failure where there is none."""
        stack = cls.find(cloudformation, name)
        if stack is None:
            raise Failure(f"there is no stack {name} in {cloudformation.meta.region_name}")
        return stack

    def log_groups(self, cloudformation: Any) -> list[str]:
        """Return the names of the functions' log groups."""
        pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=self.name)
        return [
            resource["PhysicalResourceId"]
            for page in pages
            for resource in page["StackResourceSummaries"]
            if resource["ResourceType"] == "AWS::Logs::LogGroup"
        ]
