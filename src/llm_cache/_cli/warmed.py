"""The counts of ``llm-cache warm``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from llm_cache._cli.ask_question import HITS

SHOWN = 20  # failures in the summary
PLURALS = {"hit": "hits", "miss": "misses", "error": "errors of the cache"}


@dataclass
class Warmed:
    """What the questions of a run got so far. It stays small at any number of questions."""

    total: int
    first: int
    """The line at which the run begins."""
    then: str | None = None
    """The command that continues a stopped run."""
    statuses: Counter[str] = field(default_factory=Counter)
    stored: int = 0
    not_stored: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    failures: list[str] = field(default_factory=list)
    """The first failures, with the numbers of their lines."""
    _waiting: list[int] = field(default_factory=list)
    _last: int = 0

    def begin(self, line: int) -> None:
        """Note that a question is being sent."""
        self._waiting.append(line)
        self._last = line

    def end(self, line: int, cache: Mapping[str, Any], failure: str | None) -> None:
        """Count a reply."""
        self._waiting.remove(line)
        if failure:
            self.failed += 1
            self.failures += [f"line {line}: {failure}"] if self.failed <= SHOWN else []
            return
        self.statuses[str(cache.get("status"))] += 1
        if cache.get("stored"):
            self.stored += cache.get("status") not in HITS
        else:
            self.not_stored[str(cache.get("why"))] += 1

    @property
    def next_line(self) -> int:
        """The first line without a reply, so that a run can continue there."""
        return self._waiting[0] if self._waiting else max(self._last + 1, self.first)

    @property
    def progress(self) -> str:
        """One line while it runs."""
        return f"{self._sent:,} of {self.total:,} questions: {self._counts}"

    @property
    def _sent(self) -> int:
        return self.statuses.total() + self.failed

    @property
    def _counts(self) -> str:
        counted = sorted(self.statuses.items())
        parts = [f"{n:,} {s if n == 1 else PLURALS.get(s, s)}" for s, n in counted]
        parts += [f"{self.stored:,} stored"] if self.stored else []
        if self.not_stored:
            reasons = ", ".join(f"{n:,} {why}" for why, n in self.not_stored.most_common())
            parts.append(f"{self.not_stored.total():,} not stored ({reasons})")
        parts += [f"{self.failed:,} failed"] if self.failed else []
        return ", ".join(parts) or "no reply"

    def __str__(self) -> str:
        lines = [self.progress, *(f"  {failure}" for failure in self.failures)]
        if self.failed > len(self.failures):
            lines.append(f"  and {self.failed - len(self.failures):,} more failures")
        return "\n".join([*lines, f"continue with: {self.then}"] if self.then else lines)

    def as_dict(self) -> dict[str, Any]:
        """Return the counts for ``--json``."""
        return {
            "questions": self.total,
            "sent": self._sent,
            "statuses": dict(self.statuses),
            "stored": self.stored,
            "not_stored": dict(self.not_stored),
            "failed": self.failed,
            "failures": self.failures,
            "continue": self.then,
        }
