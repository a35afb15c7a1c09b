"""What the local cloud reads in template.yaml, so that it repeats nothing of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation's short forms (`!Ref`, `!Sub`, …) as nothing: none is needed here."""


_Loader.add_multi_constructor("!", lambda *_: None)


def parameters(template: Path) -> dict[str, dict[str, Any]]:
    """Return the template's parameters as they are declared."""
    with template.open() as text:
        found: dict[str, dict[str, Any]] = yaml.load(text, _Loader)["Parameters"]  # noqa: S506
        return found


def defaults(declared: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return the defaults of the parameters that have one, as text."""
    return {name: str(rules["Default"]) for name, rules in declared.items() if "Default" in rules}
