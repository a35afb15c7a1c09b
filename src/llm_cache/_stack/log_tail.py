"""Read the log lines of the functions, in order, each once."""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

LATE = 60_000  # milliseconds that CloudWatch may take to deliver a line


class LogLine(NamedTuple):
    """A line: seconds since 1970, the last part of its group's name, and its text."""

    time: float
    function: str
    text: str


Seen: TypeAlias = OrderedDict[tuple[int, str, int], int]
"""How often a line was read: its milliseconds, stream and hash."""


@dataclass(slots=True)
class LogTail:
    """The lines of log groups since a time (seconds since 1970).

    CloudWatch may deliver a line after newer ones, so each read begins a minute before the newest
    line. A line that arrives later than that is left out. Memory holds the hashes of the lines of
    that minute only.
    """

    client: Any
    groups: Sequence[str]
    since: float
    _seen: Seen = field(default_factory=OrderedDict)

    def new_lines(self) -> Iterator[LogLine]:
        """Yield the lines since the last read; one request a group and 10,000 lines."""
        before, self._seen = self._seen, OrderedDict()
        start = int(self.since * 1000)
        found = (self._events(group, start) for group in self.groups)
        for event, group in heapq.merge(*found, key=_milliseconds):
            text, time = event["message"].rstrip(), event["timestamp"]
            key = time, event["logStreamName"], hash(text)
            self._seen[key] = number = self._seen.get(key, 0) + 1
            self._forget_before(time - LATE)
            if number > before.get(key, 0):
                yield LogLine(time / 1000, group.rpartition("/")[2], text)

    def _forget_before(self, time: int) -> None:
        self.since = max(self.since, time / 1000)
        while self._seen and next(iter(self._seen))[0] < time:
            self._seen.popitem(last=False)

    def _events(self, group: str, start: int) -> Iterator[tuple[dict[str, Any], str]]:
        pages = self.client.get_paginator("filter_log_events")
        for page in pages.paginate(logGroupName=group, startTime=start):
            for event in page["events"]:
                yield event, group


def _milliseconds(found: tuple[dict[str, Any], str]) -> int:
    milliseconds: int = found[0]["timestamp"]
    return milliseconds
