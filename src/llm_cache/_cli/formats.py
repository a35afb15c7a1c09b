"""Sizes, times and tables as text of at most 80 columns, without box drawing."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

MINUTE, HOUR, DAY = 60, 3_600, 86_400


def size(count: float) -> str:
    """Return a number of bytes in at most 7 characters."""
    for unit in ("B", "KB", "MB", "GB"):
        if count < 1_000:  # noqa: PLR2004
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"  # noqa: PLR2004
        count /= 1_024
    return f"{count:,.1f} TB"


def duration(seconds: float | None) -> str:
    """Return a time in at most 6 characters, such as ``57 min``; ``-`` for None."""
    if seconds is None or not math.isfinite(seconds):
        return "-"
    amount = abs(seconds)
    for unit, length, most in (
        ("s", 1, 2 * MINUTE),
        ("min", MINUTE, 2 * HOUR),
        ("h", HOUR, 2 * DAY),
    ):
        if amount < most:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds / DAY:.0f} d"


def local_time(moment: float) -> str:
    """Return Unix seconds as local time, and as UTC."""
    local, utc = time.localtime(moment), time.gmtime(moment)
    text = time.strftime("%Y-%m-%d %H:%M:%S %Z", local)
    return text if local.tm_gmtoff == 0 else text + time.strftime(" (%H:%M:%S UTC)", utc)


def printable(text: str) -> str:
    """Return a text whose control characters cannot change a terminal."""
    return "".join(
        each if each.isprintable() or each in "\n\t" else ascii(each)[1:-1] for each in text
    )


def table(rows: Sequence[Sequence[object]]) -> str:
    """Return rows with aligned columns: the first and the last to the left, the others right."""
    texts = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    return "\n".join(_line(row, widths) for row in texts)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *middle, last = zip(row, widths, strict=True)
    cells = [first[0].ljust(first[1]), *(text.rjust(width) for text, width in middle), last[0]]
    return "  ".join(cells).rstrip()
