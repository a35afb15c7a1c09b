"""Read the parameters that template.yaml declares, and the folders of its functions."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

Declared = dict[str, dict[str, Any]]
"""Parameters as a template declares them: type, default and constraints by name."""


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation's short forms (`!Ref`, `!Sub`, …) as None: nothing here has one."""


_Loader.add_multi_constructor("!", lambda *_: None)


def declared_parameters(template: Path) -> Declared:
    """Return the parameters that a template declares."""
    found: Declared = _read(template)["Parameters"]
    return found


def code_folders(template: Path) -> dict[str, str]:
    """Return the folder of each function's code by its logical id."""
    return {
        logical: resource["Properties"]["CodeUri"]
        for logical, resource in _read(template)["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    }


def _read(template: Path) -> dict[str, Any]:
    with template.open() as text:
        found: dict[str, Any] = yaml.load(text, _Loader)  # noqa: S506
        return found


def default_values(declared: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return the default values, as text; parameters without a default are left out."""
    return {name: str(rules["Default"]) for name, rules in declared.items() if "Default" in rules}
