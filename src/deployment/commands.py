"""The commands that ``make`` runs on a stack in AWS, or in the local cloud."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

from deployment import calling, deletion, sam, state, target, terminal
from deployment.account import Account
from deployment.failure import FORESEEN, Failure, told
from deployment.logs import Logs
from deployment.remains import Remains
from deployment.stack import UNBORN, Stack, first_failure, waiting_change_sets
from deployment.stored import Secrets
from deployment.variables import Variables
from local_cloud.story.progress import to_stderr

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FOLLOW_SECONDS = 2


def main(arguments: Sequence[str]) -> int:
    """Run the named command; the exit status is 1 when it failed, and stderr says why."""
    (command,) = arguments
    variables = Variables(os.environ)
    try:
        _COMMANDS[command](variables)
    except (Failure, *FORESEEN) as failure:
        print(f"{command}: {told(failure, os.environ.get('AWS_REGION'))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # no second one while this is being told
        print(f"\n{command}: {_after_interrupt(command, variables)}", file=sys.stderr)
        return 130
    return 0


def build(variables: Variables) -> None:
    """Build alone, for the template's target or the one that is chosen."""
    overrides = target.overrides(variables.declared, {}, variables.chosen)
    to_stderr(f"building for {target.told({}, overrides)}")
    sam.build(variables.config, sam.BUILD, overrides)


def deploy(variables: Variables) -> None:
    """Check everything, store the secrets that are missing, build, deploy, and say what is next."""
    name, chosen = variables.stack, variables.chosen
    account = Account.open(variables.config)
    cloudformation = account.client("cloudformation")
    stack = _updatable(cloudformation, variables)
    deployed = stack.parameters if stack else {}
    overrides = target.overrides(variables.declared, deployed, chosen)
    to_stderr(f"{name} in {account.region}: {target.told(deployed, overrides)}")
    secrets = _secrets(account, target.values(variables.declared, deployed, chosen))
    _tell_stored(secrets.store_missing())
    sam.build(variables.config, sam.folder(name), overrides)
    remains = None if stack else Remains.of(account, name)
    with remains.set_aside(account) if remains else contextlib.nullcontext():
        _deploy(cloudformation, variables, overrides)
    print(_next(variables, Stack.read(cloudformation, name)))


def secrets(variables: Variables) -> None:
    """Replace the address and the tokens of Upstash in SSM, after asking Upstash about them."""
    name, chosen = variables.stack, variables.chosen
    account = Account.open(variables.config)
    stack = Stack.find(account.client("cloudformation"), name)
    deployed = stack.parameters if stack else {}
    _tell_stored(_secrets(account, target.values(variables.declared, deployed, chosen)).replace())


def flush(variables: Variables) -> None:
    """Clear the cache, or a tag, and free its memory."""
    account, stack = _opened(variables)
    event = {"tag": variables.tag} if variables.tag else {}
    for done in calling.flush(account.client("lambda"), stack, event):
        print(json.dumps(done))


def ask(variables: Variables) -> None:
    """Ask a question of the deployed function."""
    question = variables.question
    account, stack = _opened(variables)
    print(json.dumps(calling.ask(account.session, stack, question), indent=2))


def logs(variables: Variables) -> None:
    """Print what the functions logged in the last minutes; with FOLLOW=1 what they log now, too."""
    minutes, follow = variables.minutes, variables.follow
    account, stack = _opened(variables)
    groups = stack.log_groups(account.client("cloudformation"))
    lines = Logs(account.client("logs"), groups, time.time() - 60 * minutes)
    while True:
        for line in lines.read():
            print(line, flush=True)
        if not follow:
            return
        time.sleep(FOLLOW_SECONDS)


def delete(variables: Variables) -> None:
    """Delete the stack, say what remains in the account, and remove that where it is wanted."""
    name, leftovers, yes = variables.stack, variables.leftovers, variables.yes
    account = Account.open(variables.config)
    cloudformation = account.client("cloudformation")
    if Stack.find(cloudformation, name) or not Remains.of(account, name):
        deletion.delete(account, name, variables, yes=yes)
    remains = Remains.of(account, name)
    deletion.tell(account, name, remains)
    if not remains:
        return
    asks = not (leftovers or yes) and terminal.present()
    if leftovers == "delete" or (asks and terminal.confirmed(deletion.QUESTION)):
        remains.remove(account)
        print("removed: the buckets, the layer versions and the parameters above")
    else:
        print(f"To remove what the stack left: {variables.make('delete')} LEFTOVERS=delete")


_COMMANDS = {
    command.__name__: command for command in (build, deploy, secrets, flush, ask, logs, delete)
}


def _opened(variables: Variables) -> tuple[Account, Stack]:
    name = variables.stack
    account = Account.open(variables.config)
    return account, Stack.read(account.client("cloudformation"), name)


def _updatable(cloudformation: Any, variables: Variables) -> Stack | None:
    """Return the stack to update, or None for a new one; raise Failure where neither can be."""
    stack = Stack.settled(cloudformation, variables.stack, to_stderr)
    if stack is None or stack.status == UNBORN:
        return None
    reason = first_failure(cloudformation, stack.name)
    state.check_updatable(stack, reason, variables.make)
    return stack


def _deploy(cloudformation: Any, variables: Variables, overrides: Mapping[str, str]) -> None:
    name = variables.stack
    before = waiting_change_sets(cloudformation, name)
    try:
        sam.deploy(variables.config, name, overrides, confirm=terminal.present())
    except Failure as failure:
        left = Stack.find(cloudformation, name)
        reason = first_failure(cloudformation, name) if left else ""
        raise Failure(f"{failure}; {state.after_failure(left, reason, variables.make)}") from None
    if waiting_change_sets(cloudformation, name) - before:
        again = variables.make("deploy")
        raise Failure(f"the change set was declined, so nothing was deployed; to go on: {again}")


def _secrets(account: Account, values: Mapping[str, str]) -> Secrets:
    ask = terminal.typed_unseen if terminal.present() else None
    return Secrets(account.client("ssm"), values, os.environ, ask)


def _tell_stored(names: list[str]) -> None:
    for name in names:
        print(f"stored {name}, as a SecureString of SSM", flush=True)


def _after_interrupt(command: str, variables: Variables) -> str:
    """Return what Ctrl-C has not stopped: CloudFormation goes on by itself."""
    if command not in {"deploy", "delete"} or "AWS_REGION" not in os.environ:
        return "interrupted"
    try:
        client = Account.open(variables.config).client("cloudformation")
        return state.interrupted(Stack.find(client, variables.stack), variables.make(command))
    except (Failure, *FORESEEN) as unknown:
        return f"interrupted; whether something goes on in the cloud is not known: {unknown}"


def _next(variables: Variables, stack: Stack) -> str:
    return (
        f"\n{stack.name} is deployed: {stack.output('AskUrl')}\n\n"
        f'  {variables.make("ask")} QUESTION="What is the capital of France?"\n'
        f"  {variables.make('flush')}\n"
        f"  {variables.make('logs')}\n"
    )
