"""What ``samconfig.toml`` says of an environment, and what the command line says beside it."""

from __future__ import annotations

import shlex
import tomllib
from typing import TYPE_CHECKING, Any

from deployment.failure import Failure
from local_cloud.tools import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FILE = CHECKOUT / "samconfig.toml"


def deploy_settings(environment: str, file: Path = FILE) -> dict[str, Any]:
    """Return the settings of `sam deploy` in an environment; raise Failure where there are none."""
    known = tomllib.loads(file.read_text(encoding="utf-8"))
    try:
        settings: dict[str, Any] = known[environment]["deploy"]["parameters"]
    except KeyError:
        names = ", ".join(name for name in known if name != "version")
        raise Failure(f"CONFIG={environment} is none of {file.name}: {names}") from None
    return settings


def overrides(settings: Mapping[str, Any], given: str) -> dict[str, str]:
    """Return the template's parameters: those of the settings, and those given, which win.

    sam itself takes either the ones or the others.
    """
    pairs = shlex.split(settings.get("parameter_overrides", "")) + shlex.split(given)
    wrong = [pair for pair in pairs if "=" not in pair]
    if wrong:
        raise Failure(f"{wrong[0]!r} is not Name=Value")
    return {name: value for name, _, value in (pair.partition("=") for pair in pairs)}
