"""What the local cloud reads in template.yaml, so that it repeats nothing of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from pathlib import Path


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation's short forms (`!Ref`, `!Sub`, …) as nothing: none is needed here."""


_Loader.add_multi_constructor("!", lambda *_: None)


def parameters(template: Path) -> dict[str, dict[str, Any]]:
    """Return the template's parameters as they are declared."""
    with template.open() as text:
        found: dict[str, dict[str, Any]] = yaml.load(text, _Loader)["Parameters"]  # noqa: S506
        return found
