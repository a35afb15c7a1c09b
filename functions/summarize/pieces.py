"""Split a long text by its content, so that an edit changes only the pieces around it."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence

LEAST, MOST = 4_000, 12_000  # characters of a piece, except the last: 1,000 to 3,000 tokens

_LINE = re.compile("[^\n]+\n*|\n+")


def split_text(text: str) -> list[str]:
    """Return the pieces of a text in order; a short text is one piece.

    A piece ends after the line with the least hash within reach, preferably at the end of a
    paragraph. Soon after an edit the same line is the least again, so later pieces are unchanged.
    """
    lines, start = list(_lines(text)), 0
    pieces: list[str] = []
    while start < len(lines):
        end = _cut(lines, start)
        pieces.append("".join(lines[start:end]))
        start = end
    return pieces


def _lines(text: str) -> Iterator[str]:
    """Yield each line with the blank lines after it; very long lines in parts."""
    for line in _LINE.findall(text):
        yield from (line[at : at + LEAST] for at in range(0, len(line), LEAST))


def _cut(lines: Sequence[str], start: int) -> int:
    """Return the index after the last line of the piece that begins at ``start``."""
    size = 0
    places: list[int] = []
    for at in range(start, len(lines)):
        size += len(lines[at])
        if size > MOST:
            return min(places, key=lambda place: _rank(lines[place - 1]))
        if size >= LEAST:
            places.append(at + 1)
    return len(lines)


def _rank(line: str) -> tuple[bool, int]:
    return not line.endswith("\n\n"), zlib.crc32(line.encode())
