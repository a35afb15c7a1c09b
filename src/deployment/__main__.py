"""``python -m deployment deploy``, and what one does with a deployed stack."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import sys
import time
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from deployment import calling, sam
from deployment.config import deploy_settings, overrides
from deployment.failure import Failure
from deployment.logs import Logs
from deployment.stack import Stack
from deployment.stored import store_what_is_missing

FLUSH_SECONDS = 310  # a little more than the function may take
FOLLOW_SECONDS = 2
# Nothing is invoked twice because an answer was late.
ONCE = Config(read_timeout=FLUSH_SECONDS, retries={"total_max_attempts": 1})


def main() -> int:
    """Run a command; the exit status is 1 when it failed, and stderr says why."""
    given = _parser().parse_args()
    try:
        given.stack = given.stack or deploy_settings(given.config)["stack_name"]
        _COMMANDS[given.command](given)
    except (Failure, BotoCoreError, ClientError) as failure:
        print(f"{given.command}: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def deploy(given: argparse.Namespace) -> None:
    """Build, deploy, store the secrets that are missing, and say what comes next.

    The first time, and on a terminal, sam asks for each parameter.
    """
    chosen = overrides(deploy_settings(given.config), given.parameters)
    by_hand = sys.stdin.isatty()
    new = Stack.find(_client("cloudformation"), given.stack) is None
    sam.build(given.config, chosen)
    sam.deploy(given.config, given.stack, chosen, guided=new and by_hand, confirm=by_hand)
    stack = _stack(given)
    for name in store_what_is_missing(_client("ssm"), stack.parameters, os.environ, _typed):
        print(f"stored {name}, as a SecureString of SSM")
    print(_next(given.config, stack))


def flush(given: argparse.Namespace) -> None:
    """Clear the cache, or a tag, and free its memory."""
    event = {"tag": given.tag} if given.tag else {}
    for done in calling.flush(_client("lambda"), _stack(given), event):
        print(json.dumps(done))


def ask(given: argparse.Namespace) -> None:
    """Ask a question of the deployed function."""
    print(json.dumps(calling.ask(_session(), _stack(given), given.question), indent=2))


def logs(given: argparse.Namespace) -> None:
    """Print what the functions logged in the last minutes, and with --follow what they log now."""
    groups = _stack(given).log_groups(_client("cloudformation"))
    lines = Logs(_client("logs"), groups, time.time() - 60 * given.minutes)
    while True:
        for line in lines.read():
            print(line, flush=True)
        if not given.follow:
            return
        time.sleep(FOLLOW_SECONDS)


def delete(given: argparse.Namespace) -> None:
    """Delete the stack; say what stays."""
    stack = _stack(given)
    sam.delete(given.config, stack.name, _session().region_name, ask=not given.yes)
    if Stack.find(_client("cloudformation"), stack.name) is None:
        print(
            f"{stack.name} is gone. What stays: its secrets in SSM, the versions of the layer,\n"
            "which functions elsewhere may use, the answers in Redis until they expire, and the\n"
            f"documents and summaries in the bucket {stack.outputs['DocumentsBucket']}."
        )


_COMMANDS = {"deploy": deploy, "flush": flush, "ask": ask, "logs": logs, "delete": delete}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("deployment", description=__doc__)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--config", default="dev", help="an environment of samconfig.toml")
    shared.add_argument("--stack", default="", help="the stack's name, if not that environment's")
    commands = parser.add_subparsers(dest="command", required=True)
    added = {
        name: commands.add_parser(name, parents=[shared], help=command.__doc__)
        for name, command in _COMMANDS.items()
    }
    added["deploy"].add_argument("--parameters", default="", metavar='"Name=Value …"')
    added["flush"].add_argument("--tag", default="", help="only the answers under it")
    added["ask"].add_argument("question")
    added["logs"].add_argument("--minutes", type=float, default=15)
    added["logs"].add_argument("--follow", action="store_true")
    added["delete"].add_argument("--yes", action="store_true", help="do not ask")
    return parser


def _session() -> boto3.Session:
    session = boto3.Session()
    if session.region_name is None:
        raise Failure("no region is known: set AWS_REGION")
    return session


def _client(service: str) -> Any:
    return _session().client(service, config=ONCE)


def _stack(given: argparse.Namespace) -> Stack:
    return Stack.read(_client("cloudformation"), given.stack)


def _typed(question: str) -> str:
    if not sys.stdin.isatty():
        raise Failure(question)
    return getpass.getpass(f"{question}: ")


def _next(config: str, stack: Stack) -> str:
    where = f"CONFIG={config} STACK={stack.name}"
    return (
        f"\n{stack.name} is deployed: {stack.outputs['AskUrl']}\n\n"
        f'  make ask   {where} QUESTION="What is the capital of France?"\n'
        f"  make flush {where}\n"
        f"  make logs  {where}\n"
    )


if __name__ == "__main__":
    sys.exit(main())
