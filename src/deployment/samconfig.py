"""Read the settings of an environment in `samconfig.toml`."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

from deployment.command_failure import CommandFailure
from local_cloud.checkout.tool_environments import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

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
