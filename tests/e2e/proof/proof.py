"""What a deployment is shown to do, row by row."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from local_cloud.scenario.checked_scenario import CheckedScenario
from local_cloud.scenario.result_table import Column, seconds_cell

COLUMNS = (Column("what", 52, "<"), Column("what came of it", 56, "<"), Column("time", 9))


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that was tried, and what came of it."""

    what: str
    came: str
    seconds: float | None = None

    def cells(self) -> Sequence[str]:
        """Return the cells as text, in the order of ``COLUMNS``."""
        return self.what, self.came, seconds_cell(self.seconds)


@dataclass(slots=True)
class Timed:
    """The seconds that a block took, once it is over."""

    seconds: float = 0


@dataclass(slots=True)
class Proof(CheckedScenario[Row]):
    """Shows a row for each thing tried; ``failures`` is empty when all came true."""

    rows: int = 0

    def logical(self, function: str) -> str:
        """Return the logical id of a function by its name in the account."""
        stack = self.cloud.stack
        (found,) = [name for name in stack.functions if stack.physical(name) == function]
        return found

    def note(self, what: str, came: str) -> None:
        """Show what nothing is expected of: something left out, and why."""
        self.rows += 1
        self.show(Row(what, came))

    def tell(
        self,
        what: str,
        came: str,
        *,
        true: bool,
        expected: str,
        seconds: float | None = None,
        instead: object = "",
    ) -> None:
        """Show what came of something; it is a failure unless ``true``."""
        self.rows += 1
        self.show(Row(what, came if true else f"NOT {expected}", seconds))
        self.expect(what, expected, true, instead or came)


@contextlib.contextmanager
def timed() -> Iterator[Timed]:
    """Time a block."""
    began, taken = time.perf_counter(), Timed()
    yield taken
    taken.seconds = time.perf_counter() - began
