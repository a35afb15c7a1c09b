"""Count entries in steps, with progress, until the time is up or Ctrl-C."""

from __future__ import annotations

import time
from typing import NamedTuple

from llm_cache._admin.namespace import time_limit
from llm_cache._cli.connection import Connection
from llm_cache._cli.formats import size
from llm_cache._cli.scanning import scan
from llm_cache._inspect.entry_pages import Read, Selection, read_pages
from llm_cache._inspect.totals import Totals
from llm_cache._protocol.clearing import name_hash


class Counted(NamedTuple):
    """The sums so far, and where the last step stopped."""

    totals: Totals
    read: Read

    @property
    def done(self) -> bool:
        """Whether every entry was counted, or an error ended the scan."""
        return self.read.complete or self.read.failure is not None


def select(
    connection: Connection, *, tag: str | None, tenant: str | None, every: bool = False
) -> Selection:
    """Return the entries of the namespace, or of every one, with the tag or of the tenant."""
    keys = connection.keys_for(tag, tenant)
    return Selection(None if every else keys.prefix, name_hash(keys, tag, tenant))


def count(
    connection: Connection, selection: Selection, cursor: str, seconds: float
) -> tuple[Counted, bool]:
    """Count entries; return the sums, and whether Ctrl-C ended the scan."""

    def step(counted: Counted, left: float) -> Counted:
        part = Totals()
        read = connection.run(
            read_pages(
                selection,
                counted.read.cursor,
                clock=time.time,
                visit=part.add,
                proceed=time_limit(left),
            )
        )
        counted.totals.merge(part)
        return Counted(counted.totals, read)

    return scan(step, Counted(Totals(), Read(cursor)), seconds=seconds, describe=_describe)


def _describe(counted: Counted) -> str:
    return describe(counted.totals)


def describe(totals: Totals) -> str:
    """Return the number of entries and their bytes as text."""
    share = totals.sum
    unit = "entry" if share.entries == 1 else "entries"
    return f"{share.entries:,} {unit}, {size(share.bytes)}"
