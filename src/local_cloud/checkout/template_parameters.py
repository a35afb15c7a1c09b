"""Read the parameters that template.yaml declares."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

Declared = dict[str, dict[str, Any]]
"""Parameters as a template declares them: type, default and constraints by name."""


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation's short forms (`!Ref`, `!Sub`, …) as None: parameters use none."""


_Loader.add_multi_constructor("!", lambda *_: None)


def declared_parameters(template: Path) -> Declared:
    """Return the parameters that a template declares."""
    with template.open() as text:
        found: Declared = yaml.load(text, _Loader)["Parameters"]  # noqa: S506
        return found


def default_values(declared: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return the default values, as text; parameters without a default are left out."""
    return {name: str(rules["Default"]) for name, rules in declared.items() if "Default" in rules}
