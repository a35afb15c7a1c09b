"""What the state of a stack means to a person, and the command that mends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deployment.failure import Failure
from deployment.stack import UNBORN

if TYPE_CHECKING:
    from collections.abc import Callable

    from deployment.stack import Stack

_NEVER_DEPLOYED = {"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"}


def check_updatable(stack: Stack, reason: str, make: Callable[[str], str]) -> None:
    """Raise Failure, which says what to do, for a stack that cannot be deployed to.

    ``make`` returns the command that does something to this stack.
    """
    if not stack.ours:
        raise Failure(
            f"STACK={stack.name} is not a stack of this kit, and a deployment would replace what is"
            " in it; choose another name: make deploy STACK=…"
        )
    if advice := _advice(stack, make):
        raise Failure(f"{described(stack, reason)}. {advice}")


def after_failure(stack: Stack | None, reason: str, make: Callable[[str], str]) -> str:
    """Return what a failed deployment has left, and what to do."""
    if stack is None or stack.status == UNBORN:
        return f"nothing was deployed; when the cause is mended: {make('deploy')}"
    advice = _advice(stack, make) or (
        f"What was deployed before still runs; when the cause is mended: {make('deploy')}"
    )
    return f"{described(stack, reason)}. {advice}"


def described(stack: Stack, reason: str) -> str:
    """Return how a stack is, and why if that is known."""
    return f"STACK={stack.name} is {stack.status}" + (f" ({reason})" if reason else "")


def interrupted(stack: Stack | None, command: str) -> str:
    """Return what goes on in the cloud after Ctrl-C, and what the same command does then."""
    if stack is None or stack.status == UNBORN:
        return f"interrupted; nothing goes on in the cloud. To go on: {command}"
    if stack.moves:
        return (
            f"interrupted, but CloudFormation goes on: STACK={stack.name} is {stack.status}."
            f" `{command}` waits until that has ended, and goes on"
        )
    return f"interrupted; STACK={stack.name} is {stack.status}. To go on: {command}"


def _advice(stack: Stack, make: Callable[[str], str]) -> str:
    if stack.status in _NEVER_DEPLOYED:
        return f"Nothing of it runs, and it cannot be updated: {make('delete')}, then make deploy"
    if stack.status == "UPDATE_ROLLBACK_FAILED":
        mend = f"aws cloudformation continue-update-rollback --stack-name {stack.name}"
        return f"It cannot be updated before it is rolled back: {mend}"
    return ""
