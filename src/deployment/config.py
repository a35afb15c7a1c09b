"""What ``samconfig.toml`` says of an environment; nothing here writes it."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

from deployment.failure import Failure
from local_cloud.tools import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

FILE = CHECKOUT / "samconfig.toml"


def deploy_settings(environment: str, file: Path = FILE) -> dict[str, Any]:
    """Return the settings of `sam deploy` in an environment; raise Failure where there are none."""
    known = tomllib.loads(file.read_text(encoding="utf-8"))
    try:
        settings: dict[str, Any] = known[environment]["deploy"]["parameters"]
    except KeyError:
        names = ", ".join(name for name in known if name != "version")
        raise Failure(f"CONFIG={environment} is not in {file.name}, which has {names}") from None
    return settings
