"""The ``sam`` of the checkout, on the terminal of whoever runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from deployment.failure import Failure
from local_cloud.sam import given
from local_cloud.tools import CHECKOUT, interpreter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def build(environment: str, overrides: Mapping[str, str]) -> None:
    """Build the layer and the functions for the target that the parameters name."""
    _run(["build", "--config-env", environment, *given(overrides)])


def deploy(
    environment: str, stack: str, overrides: Mapping[str, str], *, guided: bool, confirm: bool
) -> None:
    """Deploy what was built; ``guided`` asks for each parameter, and keeps the answers."""
    arguments = ["deploy", "--config-env", environment, "--stack-name", stack]
    if guided:
        arguments.append("--guided")
    elif not confirm:
        arguments.append("--no-confirm-changeset")
    _run(arguments + given(overrides))


def delete(environment: str, stack: str, region: str, *, ask: bool) -> None:
    """Delete a stack and what was uploaded for it."""
    arguments = ["delete", "--config-env", environment, "--stack-name", stack, "--region", region]
    _run(arguments + ([] if ask else ["--no-prompts"]))


def _run(arguments: Sequence[str]) -> None:
    env = {**os.environ, "SAM_CLI_TELEMETRY": "0", "PYTHON": sys.executable}
    env.pop("PYTHONPATH", None)  # sam's Python has packages of its own
    argv = [interpreter("sam"), "-m", "samcli", *arguments]
    done = subprocess.run(argv, cwd=CHECKOUT, env=env, check=False)
    if done.returncode:
        raise Failure(f"sam {arguments[0]} ended with status {done.returncode}")
