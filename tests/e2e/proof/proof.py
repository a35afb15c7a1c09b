"""The checks of a deployment, one row each."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from local_cloud.scenario.checked_scenario import CheckedScenario
from local_cloud.scenario.result_table import Column, seconds_cell
from local_cloud.stack.invocation import Invocation

COLUMNS = (Column("step", 52, "<"), Column("result", 56, "<"), Column("time", 9))


@dataclass(frozen=True, slots=True)
class Row:
    """The result of one step."""

    step: str
    result: str
    seconds: float | None = None

    def cells(self) -> Sequence[str]:
        return self.step, self.result, seconds_cell(self.seconds)


@dataclass(slots=True)
class Timed:
    """The seconds that a block took, once it has ended."""

    seconds: float = 0


@dataclass(slots=True)
class Proof(CheckedScenario[Row]):
    """Shows a row for each step; `failures` is empty if every expectation was met."""

    rows: int = 0

    def logical(self, function: str) -> str:
        """Return the logical id of a function (physical name)."""
        stack = self.cloud.stack
        (found,) = [name for name in stack.functions if stack.physical(name) == function]
        return found

    def note(self, step: str, result: str) -> None:
        """Show a step that was left out, with the reason."""
        self.rows += 1
        self.show(Row(step, result))

    def check(
        self,
        step: str,
        result: str,
        met: bool,
        expected: str,
        *,
        seconds: float | None = None,
        actual: object = "",
        reply: Invocation | None = None,
    ) -> None:
        """Show a step; it is a failure unless the expectation is met."""
        if reply:
            seconds, actual = reply.seconds, reply.payload
        self.rows += 1
        self.show(Row(step, result if met else f"NOT {expected}", seconds))
        self.expect(step, expected, met, actual or result)

    def equal(self, step: str, result: str, expected: str, **details: Any) -> None:
        """Show a step; it is a failure unless the result is the expected one."""
        self.check(step, result, result == expected, expected, **details)


@contextlib.contextmanager
def timed() -> Iterator[Timed]:
    began, taken = time.perf_counter(), Timed()
    yield taken
    taken.seconds = time.perf_counter() - began
