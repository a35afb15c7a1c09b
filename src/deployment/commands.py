"""The commands that `make` runs on a stack in AWS or in the local cloud."""

import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from deployment import (
    build_target,
    function_calls,
    sam_commands,
    stack_advice,
    stack_deletion,
    stack_functions,
)
from deployment.account import Account
from deployment.dev_loop import DevLoop
from deployment.make_variables import MakeVariables
from deployment.retained_resources import RetainedResources
from deployment.source_part import LAYER, source_parts
from deployment.stack_operations import first_failure, wait_until_settled, waiting_change_sets
from llm_cache._cli import main as command_line
from llm_cache._stack import terminal
from llm_cache._stack.aws_errors import EXPECTED_ERRORS, explain
from llm_cache._stack.command_failure import CommandFailure
from llm_cache._stack.deployed_stack import EMPTY, DeployedStack
from llm_cache._stack.stack_secrets import StackSecrets
from local_cloud.aws.stack_deployment import host_target
from local_cloud.progress import to_stderr

FLUSH_SECONDS = "300"  # to free memory after a clear


def main(arguments: Sequence[str]) -> int:
    """Run the named command; return the exit status, 1 after a failure."""
    (command,) = arguments
    variables = MakeVariables(os.environ)
    try:
        return _COMMANDS[command](variables) or 0
    except (CommandFailure, *EXPECTED_ERRORS) as failure:
        print(f"{command}: {explain(failure, os.environ.get('AWS_REGION'))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # ignore a second Ctrl-C
        print(f"\n{command}: {_after_interrupt(command, variables)}", file=sys.stderr)
        return 130


def build(variables: MakeVariables) -> None:
    """Build for the chosen target, or for the template's default."""
    overrides = build_target.overrides(variables.declared, {}, variables.chosen)
    to_stderr(f"building for {build_target.description({}, overrides)}")
    sam_commands.build(variables.config, sam_commands.BUILD, overrides)


def deploy(variables: MakeVariables) -> None:
    """Check the variables, store missing secrets, build, deploy, and print the next commands."""
    name, chosen = variables.stack, variables.chosen
    account = Account.open(variables.config)
    cloudformation = account.client("cloudformation")
    stack = _updatable(cloudformation, variables)
    deployed = stack.parameters if stack else {}
    overrides = build_target.overrides(variables.declared, deployed, chosen)
    to_stderr(f"{name} in {account.region}: {build_target.description(deployed, overrides)}")
    secrets = _secrets(account, build_target.values(variables.declared, deployed, chosen))
    _print_stored(secrets.store_missing())
    sam_commands.build(variables.config, sam_commands.folder(name), overrides)
    retained = None if stack else RetainedResources.find(account, name)
    with retained.parameters_removed(account) if retained else contextlib.nullcontext():
        _deploy(cloudformation, variables, overrides)
    print(_next_commands(variables, DeployedStack.read(cloudformation, name)))


def secrets(variables: MakeVariables) -> None:
    """Replace the URL and the tokens of Upstash in SSM, after a check with Upstash."""
    name, chosen = variables.stack, variables.chosen
    account = Account.open(variables.config)
    stack = DeployedStack.find(account.client("cloudformation"), name)
    values = build_target.values(variables.declared, stack.parameters if stack else {}, chosen)
    _print_stored(_secrets(account, values).replace())


def flush(variables: MakeVariables) -> int:
    """Clear the cache, or a tag, and reclaim its memory."""
    tag = ["--tag", variables.tag] if variables.tag else []
    return _llm_cache(variables, "clear", "--yes", "--reclaim", FLUSH_SECONDS, *tag)


def ask(variables: MakeVariables) -> int:
    """Send a question to the deployed function; print its answer and what the cache did."""
    return _llm_cache(variables, "ask", "--", variables.question)


def invoke(variables: MakeVariables) -> None:
    """Invoke a function with an event; print its reply, and the end of its log on stderr."""
    event, name = variables.event, variables.function
    account, stack = _opened(variables)
    functions = stack_functions.deployed(account.client("cloudformation"), stack)
    function = functions[stack_functions.chosen(name, list(functions))]
    event = function_calls.with_outputs(event, stack.outputs)
    reply = function_calls.invoke(account.session, function, event)
    print(reply.log.rstrip(), file=sys.stderr, flush=True)
    print(json.dumps(reply.payload, indent=2))
    if reply.failed:
        raise CommandFailure(f"FUNCTION={name} failed: {reply.payload.get('errorMessage', '')}")


def dev(variables: MakeVariables) -> None:
    """Deploy each saved change of the functions or of one, and of the layer, until Ctrl-C."""
    variables = variables.local()
    parts = source_parts()
    if name := variables.function:
        stack_functions.chosen(name, [part.name for part in parts if part.name != LAYER])
        parts = [part for part in parts if part.name in {name, LAYER}]
    account, stack = _opened(variables)
    functions = stack_functions.deployed(account.client("cloudformation"), stack)
    names = ", ".join(part.name for part in parts)
    to_stderr(f"watching {names}; Ctrl-C ends it")
    DevLoop(account.client("lambda"), parts, functions, host_target()).run()


def logs(variables: MakeVariables) -> int:
    """Print the functions' log lines of the last minutes; with FOLLOW=1 also new lines."""
    follow = "--follow" if variables.follow else "--no-follow"
    return _llm_cache(variables, "tail", "--raw", "--minutes", str(variables.minutes), follow)


def delete(variables: MakeVariables) -> None:
    """Delete the stack, print the resources that remain, and remove them if confirmed."""
    name, leftovers, yes = variables.stack, variables.leftovers, variables.yes
    account = Account.open(variables.config)
    cloudformation = account.client("cloudformation")
    if DeployedStack.find(cloudformation, name) or not RetainedResources.find(account, name):
        stack_deletion.delete(account, name, variables, yes=yes)
    retained = RetainedResources.find(account, name)
    stack_deletion.print_remaining(account, name, retained)
    if not retained:
        return
    asks = not (leftovers or yes) and terminal.interactive()
    if leftovers == "delete" or (asks and terminal.confirm(stack_deletion.QUESTION)):
        retained.remove(account)
        print("removed: the buckets, the layer versions and the parameters above")
    else:
        print(f"To remove these resources: {variables.make('delete')} LEFTOVERS=delete")


_COMMANDS: dict[str, Callable[[MakeVariables], int | None]] = {
    command.__name__: command
    for command in (build, deploy, secrets, flush, ask, invoke, dev, logs, delete)
}


def _opened(variables: MakeVariables) -> tuple[Account, DeployedStack]:
    name = variables.stack
    account = Account.open(variables.config)
    return account, DeployedStack.read(account.client("cloudformation"), name)


def _llm_cache(variables: MakeVariables, command: str, *arguments: str) -> int:
    """Run a command of `llm-cache` on the stack; return its exit code."""
    name = variables.stack
    Account.open(variables.config)
    return command_line.main([command, "--stack", name, *arguments])


def _updatable(cloudformation: Any, variables: MakeVariables) -> DeployedStack | None:
    """Return the stack to update, or None for a new one; raise CommandFailure for neither."""
    stack = wait_until_settled(cloudformation, variables.stack, to_stderr)
    if stack is None or stack.status == EMPTY:
        return None
    reason = first_failure(cloudformation, stack.name)
    stack_advice.check_updatable(stack, reason, variables.make)
    return stack


def _deploy(cloudformation: Any, variables: MakeVariables, overrides: Mapping[str, str]) -> None:
    name, make = variables.stack, variables.make
    before = waiting_change_sets(cloudformation, name)
    try:
        sam_commands.deploy(variables.config, name, overrides, confirm=terminal.interactive())
    except CommandFailure as failure:
        stack = DeployedStack.find(cloudformation, name)
        reason = first_failure(cloudformation, name) if stack else ""
        advice = stack_advice.after_failure(stack, reason, make)
        raise CommandFailure(f"{failure}; {advice}") from None
    if waiting_change_sets(cloudformation, name) - before:
        raise CommandFailure(
            f"the change set was declined, so nothing was deployed. To continue: {make('deploy')}"
        )


def _secrets(account: Account, values: Mapping[str, str]) -> StackSecrets:
    ask = terminal.ask_secret if terminal.interactive() else None
    return StackSecrets(account.client("ssm"), values, os.environ, ask)


def _print_stored(names: list[str]) -> None:
    for name in names:
        print(f"stored {name} in SSM as a SecureString", flush=True)


def _after_interrupt(command: str, variables: MakeVariables) -> str:
    """Describe what CloudFormation continues after Ctrl-C."""
    if command not in {"deploy", "delete"} or "AWS_REGION" not in os.environ:
        return "interrupted"
    try:
        client = Account.open(variables.config).client("cloudformation")
        stack = DeployedStack.find(client, variables.stack)
        return stack_advice.interrupted(stack, variables.make(command))
    except (CommandFailure, *EXPECTED_ERRORS) as unknown:
        return f"interrupted; the status of the stack is unknown: {unknown}"


def _next_commands(variables: MakeVariables, stack: DeployedStack) -> str:
    return (
        f"\n{stack.name} is deployed: {stack.output('AskUrl')}\n\n"
        f'  {variables.make("ask")} QUESTION="What is the capital of France?"\n'
        f"  {variables.make('flush')}\n"
        f"  {variables.make('logs')}\n"
    )
