"""Read the settings of an environment in `samconfig.toml`."""

import tomllib
from pathlib import Path
from typing import Any

from llm_cache._stack.command_failure import CommandFailure
from local_cloud.checkout.tool_environments import CHECKOUT

FILE = CHECKOUT / "samconfig.toml"


def deploy_settings(environment: str, file: Path = FILE) -> dict[str, Any]:
    """Return the `sam deploy` settings of an environment; raise CommandFailure if unknown."""
    known = tomllib.loads(file.read_text(encoding="utf-8"))
    try:
        settings: dict[str, Any] = known[environment]["deploy"]["parameters"]
    except KeyError:
        names = ", ".join(name for name in known if name != "version")
        raise CommandFailure(
            f"CONFIG={environment} is not in {file.name}: use one of {names}"
        ) from None
    return settings
