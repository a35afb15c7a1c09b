"""A table of results, printed row by row as the steps end."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TextIO


class Column(NamedTuple):
    """A column: its heading, its width in characters, and its alignment (`<` or `>`)."""

    name: str
    width: int
    align: str = ">"


class Cells(Protocol):
    """A row of a table."""

    def cells(self) -> Sequence[str]:
        """Return the cells as text, in the order of the columns."""


@dataclass(frozen=True, slots=True)
class ResultTable:
    """Prints its heading and its rows at once, without waiting for the next row."""

    columns: Sequence[Column]
    out: TextIO = sys.stdout

    def print_heading(self) -> None:
        """Print the headings of the columns, and a rule."""
        self._print([column.name for column in self.columns])
        widths = sum(column.width for column in self.columns)
        print("-" * (widths + 2 * len(self.columns) - 2), file=self.out)

    def print_row(self, row: Cells) -> None:
        """Print one row."""
        self._print(row.cells())

    def _print(self, cells: Sequence[str]) -> None:
        padded = [
            f"{cell:{column.align}{column.width}}"
            for cell, column in zip(cells, self.columns, strict=True)
        ]
        print("  ".join(padded).rstrip(), file=self.out, flush=True)


def seconds_cell(value: float | None) -> str:
    """Return seconds as the text of a cell, or an empty text for None."""
    return "" if value is None else f"{value:.3f} s"
