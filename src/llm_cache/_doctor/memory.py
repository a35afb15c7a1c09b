"""Check that the database has room: by a write, and by the numbers of ``INFO``."""

from __future__ import annotations

import re

from llm_cache._doctor.database import DENIED, Database, ProbeKeys
from llm_cache._doctor.finding import Finding, failed, passed, unknown
from llm_cache._errors import StoreError, StoreRefused

WRITES, MEMORY = "writes", "memory"
NEARLY_FULL = 0.8  # of the limit
MEGABYTE = 1_000_000
NO_EVICTION = "noeviction"
FULL = re.compile(r"OOM|.*\bcapacity\b.*\bexceeded\b", re.IGNORECASE)
FREE = (
    "free memory with `llm-cache reclaim`, or with `llm-cache clear --reclaim 60`; raise the "
    "database's limit, or enable eviction, in Upstash's console"
)
# The key has a TTL too, in case that the script is stopped between the two commands.
WRITE = """
redis.call('SET', KEYS[1], ARGV[1], 'PX', 5000)
return redis.call('UNLINK', KEYS[1])
"""


def check_writes(database: Database, probe: ProbeKeys) -> Finding:
    """Store a key with a TTL of 5 seconds and delete it, in one script. Two commands.

    A user that may not delete stores nothing. (An ``UNLINK`` in the script before the ``SET`` would
    make a full database accept it.)
    """
    try:
        database.execute(("UNLINK", probe.entry))
        database.execute(("EVAL", WRITE, 1, probe.entry, "x" * 1000))
    except StoreRefused as error:
        if FULL.match(str(error)):
            return failed(WRITES, "the database is full: answers are not stored", FREE)
        if str(error).startswith(DENIED):
            return unknown(WRITES, "not allowed with this token")
        return failed(WRITES, f"a write is refused: {error}", "see Upstash's console")
    except StoreError as error:
        return unknown(WRITES, f"not checked: {error}")
    return passed(WRITES, "a key was stored and deleted")


def check_memory(database: Database) -> Finding:
    """Compare the memory in use with the limit. One command."""
    try:
        fields = _fields(str(database.execute(("INFO", "memory"))))
    except StoreError:
        return unknown(MEMORY, "INFO is refused: see the size in Upstash's console")
    used, limit = _bytes(fields, "used_memory"), _bytes(fields, "maxmemory")
    policy = fields.get("maxmemory_policy")
    if used is None or not limit:
        size = "" if used is None else f"{_megabytes(used)} used; "
        return unknown(MEMORY, f"{size}INFO names no limit: see Upstash's console")
    return _judge(used, limit, policy)


def _judge(used: int, limit: int, policy: str | None) -> Finding:
    share = used / limit
    eviction = {None: "eviction unknown", NO_EVICTION: "eviction off"}.get(policy, "eviction on")
    text = f"{_megabytes(used)} of {_megabytes(limit)} used ({share:.0%}), {eviction}"
    if share < NEARLY_FULL or eviction == "eviction on":
        return passed(MEMORY, text)
    return failed(MEMORY, text, FREE)


def _fields(info: str) -> dict[str, str]:
    return dict(line.split(":", 1) for line in info.splitlines() if ":" in line)


def _bytes(fields: dict[str, str], name: str) -> int | None:
    text = fields.get(name, "")
    return int(text) if text.isdecimal() else None


def _megabytes(size: int) -> str:
    return f"{size / MEGABYTE:.1f} MB"
