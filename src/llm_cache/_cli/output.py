"""What commands print: text for people, or one JSON object a line with ``--json``."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console, RenderableType


@dataclass(frozen=True, slots=True)
class Output:
    """Prints results to stdout, and warnings to stderr."""

    as_json: bool

    def show(self, value: Mapping[str, Any], text: RenderableType) -> None:
        """Print ``value`` as JSON, or ``text``."""
        if self.as_json:
            print(json.dumps(value), flush=True)
        else:
            # Without emoji: it would replace text such as ":key:".
            Console(highlight=False, soft_wrap=True, markup=False, emoji=False).print(text)

    @staticmethod
    def warn(text: str) -> None:
        """Print a warning."""
        print(f"warning: {text}", file=sys.stderr, flush=True)
