"""Run the checkout's `sam` with its output on the terminal.

Each stack has its own build folder, and its own prefix in SAM's bucket: builds of two stacks may
run at once, and deleting one stack keeps the uploads of the other.
"""

import os
import subprocess
from collections.abc import Mapping

from deployment.samconfig import FILE
from llm_cache._stack.command_failure import CommandFailure
from local_cloud.checkout.sam_process import SAM_VARIABLES, parameter_overrides, sam_command
from local_cloud.checkout.tool_environments import CHECKOUT

BUILD = ".aws-sam/build"
"""The build folder that `sam build` and `sam deploy` use by default."""


def folder(stack: str) -> str:
    """Return the build folder of a stack."""
    return f".aws-sam/stacks/{stack}"


def build(environment: str, into: str, overrides: Mapping[str, str]) -> None:
    """Build the layer and the functions for the target in the parameters."""
    _run("build", environment, "--build-dir", into, *parameter_overrides(overrides))


def deploy(environment: str, stack: str, overrides: Mapping[str, str], *, confirm: bool) -> None:
    """Deploy the build of a stack; `confirm` asks if samconfig.toml requires it."""
    arguments = ["--template-file", f"{folder(stack)}/template.yaml", "--s3-prefix", stack]
    arguments += [] if confirm else ["--no-confirm-changeset"]
    arguments += parameter_overrides(overrides)
    _run("deploy", environment, "--stack-name", stack, *arguments)


def delete(environment: str, stack: str, region: str) -> None:
    """Delete a stack and its uploads."""
    _run("delete", environment, "--stack-name", stack, "--region", region, "--no-prompts")


def _run(command: str, environment: str, *arguments: str) -> None:
    env = {**os.environ, **SAM_VARIABLES}
    env.pop("PYTHONPATH", None)  # sam's Python has its own packages
    # By default sam reads its settings from the folder of the template, which is the build folder.
    argv = sam_command(command, "--config-env", environment, *arguments, config=FILE)
    done = subprocess.run(argv, cwd=CHECKOUT, env=env, check=False)
    if done.returncode:
        raise CommandFailure(f"sam {command} ended with status {done.returncode}")
