"""Follow the operations of CloudFormation on a stack."""

import time
from collections.abc import Callable
from typing import Any

from llm_cache._stack.deployed_stack import DeployedStack

POLL_SECONDS = 2.0


def wait_until_settled(
    cloudformation: Any, name: str, report: Callable[[str], None]
) -> DeployedStack | None:
    """Return the stack, or None, after CloudFormation has finished its operation."""
    reported = ""
    while (stack := DeployedStack.find(cloudformation, name)) and stack.in_progress:
        if stack.status != reported:
            reported = stack.status
            report(f"waiting for {name}, which is {reported} (Ctrl-C ends only the wait)")
        time.sleep(POLL_SECONDS)
    return stack


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
