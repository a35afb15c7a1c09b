"""Cut a long text where its content says, so that an edit changes the pieces around it alone."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence

LEAST, MOST = 4_000, 12_000  # characters of a piece, but for the last: some 1,000 to 3,000 tokens

_LINE = re.compile("[^\n]+\n*|\n+")


def split(text: str) -> list[str]:
    """Return the pieces of a text, which together are the text; a short one is one piece.

    Of the places within reach it cuts after the line whose hash is the least: at the end of a
    paragraph, if there is one. Behind an edit the same line is soon the least again, and from
    there on the pieces are those from before.
    """
    lines, start = list(_lines(text)), 0
    pieces: list[str] = []
    while start < len(lines):
        end = _cut(lines, start)
        pieces.append("".join(lines[start:end]))
        start = end
    return pieces


def _lines(text: str) -> Iterator[str]:
    """Yield lines with the empty ones that follow them, in parts if they are very long."""
    for line in _LINE.findall(text):
        yield from (line[at : at + LEAST] for at in range(0, len(line), LEAST))


def _cut(lines: Sequence[str], start: int) -> int:
    """Return where the piece that begins at ``start`` ends."""
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
