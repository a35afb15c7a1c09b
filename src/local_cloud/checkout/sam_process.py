"""The command line and the environment variables of the checkout's `sam`."""

import sys
from collections.abc import Mapping
from pathlib import Path

from local_cloud.checkout.tool_environments import interpreter

# PYTHON builds the layer and the functions.
SAM_VARIABLES = {"SAM_CLI_TELEMETRY": "0", "PYTHON": sys.executable}


def sam_command(command: str, *arguments: str, config: Path) -> list[str]:
    """Return the command line of `sam`; `config` is the samconfig.toml that it reads."""
    python = interpreter("sam")
    return [python, "-m", "samcli", command, *arguments, "--config-file", str(config)]


def parameter_overrides(values: Mapping[str, str]) -> list[str]:
    """Return the option of `sam` that sets parameters; values may contain spaces."""
    pairs = [f'ParameterKey={key},ParameterValue="{value}"' for key, value in values.items()]
    return ["--parameter-overrides", *pairs] if pairs else []
