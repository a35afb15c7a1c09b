"""A sequence of steps against a deployed stack, with an expectation for each."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from local_cloud.cloud import LocalCloud

Row = TypeVar("Row")


@dataclass(slots=True)
class CheckedScenario(Generic[Row]):
    """Passes a row for each step to `show`, and collects the failed expectations."""

    cloud: LocalCloud
    show: Callable[[Row], None]
    failures: list[str] = field(default_factory=list)

    def expect(self, step: str, expected: str, met: bool, actual: object = "") -> None:
        """Record a failure unless the expectation is met."""
        if not met:
            self.failures.append(f"{step}: expected {expected}; {actual}")

    def end(self, summary: str) -> int:
        """Print the failures and a summary; return the exit status, 1 after a failure."""
        for failure in self.failures:
            print(f"FAILED  {failure}", file=sys.stderr)
        print(f"{'Not all' if self.failures else 'All'} as expected: {summary}.")
        return 1 if self.failures else 0
