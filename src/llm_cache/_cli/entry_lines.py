"""One entry as a line of text, or as JSON; never its answer."""

from __future__ import annotations

import shutil
import sys
from typing import Any

from llm_cache._cli.formats import duration, size
from llm_cache._inspect.entry_pages import Listed


def as_json(entry: Listed) -> dict[str, Any]:
    """Return an entry's fields; times are seconds."""
    head = entry.found.head
    return {
        "key": entry.found.key,
        "state": entry.state,
        "age": entry.age,
        "ttl_left": entry.remaining,
        "expires_in": entry.found.expires_in,
        "bytes": entry.found.bytes,
        "codec": head and head.codec,
        "protection": head and head.protection,
        "key_id": head and head.key_id,
        "tags": len(head.epochs) - 1 if head else None,
    }


def as_text(entry: Listed, *, full_key: bool) -> str:
    """Return an entry as one line, or as two on a terminal that is too narrow."""
    head = entry.found.head
    key = entry.found.key if full_key else entry.found.key.rpartition(":")[2]
    kind = f"{head.codec}, {head.protection}" if head else "not an entry"
    details = (
        f"{size(entry.found.bytes):>8}  {duration(entry.age):>7} old  "
        f"{duration(entry.remaining):>7} left  {entry.state:<10}  {kind}"
    )
    line = f"{key}  {details}"
    narrow = sys.stdout.isatty() and shutil.get_terminal_size().columns < len(line)
    return f"{key}\n  {details}" if narrow else line
