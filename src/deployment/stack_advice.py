"""Explain the status of a stack, and name the command that fixes it."""

from collections.abc import Callable

from llm_cache._stack.command_failure import CommandFailure
from llm_cache._stack.deployed_stack import EMPTY, DeployedStack

_NEVER_DEPLOYED = {"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"}


def check_updatable(stack: DeployedStack, reason: str, make: Callable[[str], str]) -> None:
    """Raise CommandFailure, with advice, for a stack that cannot be updated.

    `make` returns the make command that runs a target on this stack.
    """
    if not stack.is_kit:
        raise CommandFailure(
            f"STACK={stack.name} is not a stack of this kit, and a deployment would replace its"
            " resources. Choose another name: make deploy STACK=…"
        )
    if advice := _advice(stack, make):
        raise CommandFailure(f"{describe(stack, reason)}. {advice}")


def after_failure(stack: DeployedStack | None, reason: str, make: Callable[[str], str]) -> str:
    """Describe the stack after a failed deployment, with advice."""
    if stack is None or stack.status == EMPTY:
        return f"nothing was deployed. After you fix the cause: {make('deploy')}"
    advice = _advice(stack, make) or (
        f"The earlier deployment still runs. After you fix the cause: {make('deploy')}"
    )
    return f"{describe(stack, reason)}. {advice}"


def describe(stack: DeployedStack, reason: str) -> str:
    """Return the status of a stack, with the reason if known."""
    return f"STACK={stack.name} is {stack.status}" + (f" ({reason})" if reason else "")


def interrupted(stack: DeployedStack | None, command: str) -> str:
    """Describe what CloudFormation continues after Ctrl-C, and how to continue."""
    if stack is None or stack.status == EMPTY:
        return f"interrupted; CloudFormation does nothing. To continue: {command}"
    if stack.in_progress:
        return (
            f"interrupted, but CloudFormation continues: STACK={stack.name} is {stack.status}."
            f" `{command}` waits for its end, then continues"
        )
    return f"interrupted; STACK={stack.name} is {stack.status}. To continue: {command}"


def _advice(stack: DeployedStack, make: Callable[[str], str]) -> str:
    if stack.status in _NEVER_DEPLOYED:
        return f"It does not run and cannot be updated: {make('delete')}, then make deploy"
    if stack.status == "UPDATE_ROLLBACK_FAILED":
        command = f"aws cloudformation continue-update-rollback --stack-name {stack.name}"
        return f"Roll it back before the next deployment: {command}"
    return ""
