"""Compare the clock of this machine with the database's."""

from __future__ import annotations

import time
from collections.abc import Callable

from llm_cache._doctor.database import Database
from llm_cache._doctor.finding import Finding, failed, passed, unknown
from llm_cache._errors import StoreError

CHECK = "clock"
TOLERANCE = 5.0  # seconds


def check_clock(database: Database, now: Callable[[], float] = time.time) -> Finding:
    """Return whether the clocks differ by less than ``TOLERANCE``. One command."""
    before = now()
    try:
        seconds, microseconds = database.execute(("TIME",))
        there = float(seconds) + float(microseconds) / 1_000_000
    except (StoreError, TypeError, ValueError):
        return unknown(CHECK, "the database does not tell its time")
    after = now()
    ahead = (before + after) / 2 - there
    if abs(ahead) <= TOLERANCE + (after - before) / 2:
        return passed(CHECK, f"differs by {abs(ahead):.1f} seconds from the database's")
    text = (
        f"this machine is {abs(ahead):.0f} seconds {'ahead of' if ahead > 0 else 'behind'} the "
        "database: ages and remaining TTLs are wrong here"
    )
    return failed(CHECK, text, "synchronize this machine's clock (NTP)")
