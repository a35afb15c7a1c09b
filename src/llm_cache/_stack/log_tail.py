"""Read new log lines of the functions, in order."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class LogTail:
    """The lines of log groups since `since` (seconds since 1970), each returned once."""

    client: Any
    groups: Sequence[str]
    since: float
    _seen: set[tuple[int, str, str]] = field(default_factory=set)

    def new_lines(self) -> list[str]:
        """Return the lines since the last call, each after the last part of its group's name."""
        found = {
            (event["timestamp"], group.rpartition("/")[2], event["message"].rstrip())
            for group in self.groups
            for page in self._pages(group)
            for event in page["events"]
        }
        new = sorted(found - self._seen)
        self._seen |= found
        return [f"{name}  {message}" for _, name, message in new]

    def _pages(self, group: str) -> Any:
        pages = self.client.get_paginator("filter_log_events")
        return pages.paginate(logGroupName=group, startTime=int(self.since * 1000))
