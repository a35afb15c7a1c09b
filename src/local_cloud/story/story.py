"""A story told to somebody who waits: what happens is shown, what does not come true is named."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from local_cloud.cloud import LocalCloud

Row = TypeVar("Row")


@dataclass(slots=True)
class Story(Generic[Row]):
    """Runs against a deployed stack, hands each row to ``show``, collects failures."""

    cloud: LocalCloud
    show: Callable[[Row], None]
    failures: list[str] = field(default_factory=list)

    def expect(self, what: str, expected: str, came: bool, instead: object = "") -> None:
        """Note a failure unless ``came``."""
        if not came:
            self.failures.append(f"{what}: expected {expected}; {instead}")

    def end(self, told: str) -> int:
        """Print the failures and a last line; return the exit status, 1 if anything failed."""
        for failure in self.failures:
            print(f"FAILED  {failure}", file=sys.stderr)
        print(f"{'Not all' if self.failures else 'All'} as expected: {told}")
        return 1 if self.failures else 0
