"""Run the ``sam`` of the checkout; its output goes to the terminal.

Each stack has a build folder and a prefix in SAM's bucket of its own: two that are built at once do
not mix, and deleting one leaves the uploads of the other.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from deployment.config import FILE
from deployment.failure import Failure
from local_cloud.aws.sam import given
from local_cloud.tools import CHECKOUT, interpreter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BUILD = ".aws-sam/build"
"""Where `sam build` and `sam deploy` work, if nothing else is said."""


def folder(stack: str) -> str:
    """Return the build folder of a stack."""
    return f".aws-sam/stacks/{stack}"


def build(environment: str, into: str, overrides: Mapping[str, str]) -> None:
    """Build the layer and the functions for the target that the parameters name."""
    _run(["build", "--config-env", environment, "--build-dir", into, *given(overrides)])


def deploy(environment: str, stack: str, overrides: Mapping[str, str], *, confirm: bool) -> None:
    """Deploy what was built for a stack; ``confirm`` asks where samconfig.toml says so."""
    arguments = ["deploy", "--config-env", environment, "--stack-name", stack]
    arguments += ["--template-file", f"{folder(stack)}/template.yaml", "--s3-prefix", stack]
    arguments += [] if confirm else ["--no-confirm-changeset"]
    _run(arguments + given(overrides))


def delete(environment: str, stack: str, region: str) -> None:
    """Delete a stack and what was uploaded for it."""
    arguments = ["delete", "--config-env", environment, "--stack-name", stack, "--region", region]
    _run([*arguments, "--no-prompts"])


def _run(arguments: Sequence[str]) -> None:
    env = {**os.environ, "SAM_CLI_TELEMETRY": "0", "PYTHON": sys.executable}
    env.pop("PYTHONPATH", None)  # sam's Python has packages of its own
    # sam looks for its settings beside the template, which is in the build folder.
    argv = [interpreter("sam"), "-m", "samcli", *arguments, "--config-file", str(FILE)]
    done = subprocess.run(argv, cwd=CHECKOUT, env=env, check=False)
    if done.returncode:
        raise Failure(f"sam {arguments[0]} ended with status {done.returncode}")
