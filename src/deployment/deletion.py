"""Delete a stack of the kit, and tell what its deletion leaves in the account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deployment import sam, terminal
from deployment.failure import Failure
from deployment.stack import UNBORN, Stack, first_failure
from deployment.state import described
from deployment.stored import Secrets
from local_cloud.story.progress import to_stderr

if TYPE_CHECKING:
    from deployment.account import Account
    from deployment.remains import Remains
    from deployment.variables import Variables

QUESTION = "Remove the buckets, with all that is in them, the layer versions and the parameters?"


def delete(account: Account, name: str, variables: Variables, *, yes: bool) -> None:
    """Delete the stack, asking unless ``yes``; raise Failure if it is none of the kit, or stays."""
    cloudformation = account.client("cloudformation")
    found = Stack.find(cloudformation, name)
    if found is None or found.status != UNBORN:
        Stack.read(cloudformation, name)
    if not yes and not terminal.present():
        raise Failure(
            f"YES=1 is needed where nobody can be asked: {variables.make('delete')} YES=1"
        )
    if not yes and not terminal.confirmed(f"Delete the stack {name} in {account.region}?"):
        raise Failure("nothing was deleted")
    Stack.settled(cloudformation, name, to_stderr)
    sam.delete(variables.config, name, account.region)
    if left := Stack.find(cloudformation, name):
        reason = first_failure(cloudformation, name)
        again = variables.make("delete")
        raise Failure(f"{described(left, reason)}. When the cause is mended: {again}")


def tell(account: Account, name: str, remains: Remains | None) -> None:
    """Print what a deleted stack leaves, each by its name."""
    print(f"{name} is deleted. What remains in {account.region}:")
    if remains is not None:
        for line in remains.lines(account):
            print(f"  {line}")
        for secret in Secrets(account.client("ssm"), remains.parameters, {}, None).existing():
            print(f"  the secret {secret} in SSM, which other stacks may read")
    print(f"  the answers in Redis, under keys that begin with {name}:, until they expire")
    print("  SAM's own bucket of uploads (stack aws-sam-cli-managed-default), for all its stacks")
