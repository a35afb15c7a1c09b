"""Delete a stack of the kit, and list the resources that remain in the account."""

from deployment import sam_commands
from deployment.account import Account
from deployment.make_variables import MakeVariables
from deployment.retained_resources import RetainedResources
from deployment.stack_advice import describe
from deployment.stack_operations import first_failure, wait_until_settled
from llm_cache._stack import terminal
from llm_cache._stack.command_failure import CommandFailure
from llm_cache._stack.deployed_stack import EMPTY, DeployedStack
from llm_cache._stack.stack_secrets import StackSecrets
from local_cloud.progress import to_stderr

QUESTION = "Remove the buckets and their contents, the layer versions and the parameters?"


def delete(account: Account, name: str, variables: MakeVariables, *, yes: bool) -> None:
    """Delete a stack of the kit, after a question unless `yes`; raise if it remains."""
    cloudformation = account.client("cloudformation")
    found = DeployedStack.find(cloudformation, name)
    if found is None or found.status != EMPTY:
        DeployedStack.read(cloudformation, name)
    if not yes and not terminal.interactive():
        raise CommandFailure(
            f"without a terminal, YES=1 is required: {variables.make('delete')} YES=1"
        )
    if not yes and not terminal.confirm(f"Delete the stack {name} in {account.region}?"):
        raise CommandFailure("nothing was deleted")
    wait_until_settled(cloudformation, name, to_stderr)
    sam_commands.delete(variables.config, name, account.region)
    if left := DeployedStack.find(cloudformation, name):
        reason = first_failure(cloudformation, name)
        again = variables.make("delete")
        raise CommandFailure(f"{describe(left, reason)}. After you fix the cause: {again}")


def print_remaining(account: Account, name: str, retained: RetainedResources | None) -> None:
    """Print the names of the resources that remain after a stack is deleted."""
    print(f"{name} is deleted. These remain in {account.region}:")
    if retained is not None:
        for line in retained.describe(account):
            print(f"  {line}")
        for secret in StackSecrets(account.client("ssm"), retained.parameters, {}, None).existing():
            print(f"  the secret {secret} in SSM, which other stacks may read")
    print(f"  the answers in Redis, under keys that begin with {name}:, until they expire")
    print("  SAM's own bucket of uploads (stack aws-sam-cli-managed-default), for all its stacks")
