"""How long the summary of a document is kept: by what the document is, unless the message says."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from faults import Permanent
from llm_cache import InvalidPolicy
from llm_cache._config.settings import seconds_of
from llm_cache._policy.ttl import seconds

ATTRIBUTE = "cache-ttl"
IMMUTABLE, MUTABLE = "SUMMARY_TTL_IMMUTABLE", "SUMMARY_TTL_MUTABLE"


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """Seconds; the operator's floor and ceiling hold for all of them."""

    immutable: float
    """Of a version of an object: it will never hold anything else."""
    mutable: float
    """Of an object in a bucket without versions: it may be overwritten at any time."""

    def of(self, *, immutable: bool, asked: float | None) -> float:
        """Return what a message has asked for, else what befits the document."""
        if asked is not None:
            return asked
        return self.immutable if immutable else self.mutable


@cache
def lifetimes() -> Lifetimes:
    """Return what the operator has set; raise ``InvalidSettings`` that names the variable."""
    return Lifetimes(
        immutable=seconds_of(os.environ, IMMUTABLE, 30 * 86_400),
        mutable=seconds_of(os.environ, MUTABLE, 3600),
    )


def asked_for(attributes: Mapping[str, Any]) -> float | None:
    """Return the seconds that the attribute ``cache-ttl`` asks for, if there is one.

    0: the summary is not kept in the cache. Raises ``Permanent`` for anything else.
    """
    if ATTRIBUTE not in attributes:
        return None
    try:
        return seconds(ATTRIBUTE, float(attributes[ATTRIBUTE]["stringValue"]))
    except (TypeError, ValueError, KeyError, InvalidPolicy):
        raise Permanent(f"the attribute {ATTRIBUTE} is not a number of seconds") from None
