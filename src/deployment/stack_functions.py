"""Names of functions: `flush_cache` in FUNCTION is `FlushCacheFunction` in the template."""

import re
from typing import Any

from llm_cache._stack.command_failure import CommandFailure
from llm_cache._stack.deployed_stack import DeployedStack

_SUFFIX = "Function"


def logical_id(name: str) -> str:
    """Return the logical id of a function's name."""
    return "".join(word.capitalize() for word in name.split("_")) + _SUFFIX


def name_of(logical: str) -> str:
    """Return the name of a function's logical id."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", logical.removesuffix(_SUFFIX)).lower()


def deployed(cloudformation: Any, stack: DeployedStack) -> dict[str, str]:
    """Return the physical names of a stack's functions by their names."""
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack.name)
    return {
        name_of(it["LogicalResourceId"]): it["PhysicalResourceId"]
        for page in pages
        for it in page["StackResourceSummaries"]
        if it["ResourceType"] == "AWS::Lambda::Function"
    }


def chosen(name: str, names: list[str]) -> str:
    """Return `name`; raise CommandFailure, with the accepted names, if it is not in `names`."""
    if name not in names:
        accepted = " or ".join(f"FUNCTION={it}" for it in sorted(names))
        raise CommandFailure(f"FUNCTION={name} is not in the stack: use {accepted}")
    return name
