"""The result of one check."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

SHORTEST_SECRET = 8  # characters; the letters of a shorter text occur anywhere


class State(StrEnum):
    """How a check ended."""

    OK = "ok"
    FAILED = "failed"
    UNKNOWN = "unknown"  # it could not run, or the database does not tell


class Finding(NamedTuple):
    """What a check found. ``remedy`` is what to do about a failed one."""

    check: str
    state: State
    text: str
    remedy: str = ""

    def without(self, secrets: Iterable[str]) -> Finding:
        """Return the finding without any of these values, which an error reply may repeat."""
        text, remedy = self.text, self.remedy
        for secret in secrets:
            if len(secret) >= SHORTEST_SECRET:
                text, remedy = text.replace(secret, "…"), remedy.replace(secret, "…")
        return self._replace(text=text, remedy=remedy)


def passed(check: str, text: str) -> Finding:
    """Return the finding of a check that passed."""
    return Finding(check, State.OK, text)


def failed(check: str, text: str, remedy: str) -> Finding:
    """Return the finding of a check that failed, with what to do."""
    return Finding(check, State.FAILED, text, remedy)


def unknown(check: str, text: str) -> Finding:
    """Return the finding of a check without a result."""
    return Finding(check, State.UNKNOWN, text)
