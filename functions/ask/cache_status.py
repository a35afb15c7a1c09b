"""How an answer's history in the cache is told to an HTTP caller."""

from __future__ import annotations

from typing import Any, TypeGuard

from llm_cache import CachePolicy, Mode, Outcome, Reason, Report, Status

NAME = "llm-cache"

# RFC 9211, section 2.2: why a request went to the model.
FORWARDED = {
    Mode.USE: "uri-miss",
    Mode.READ_ONLY: "uri-miss",
    Mode.REFRESH: "request",
    Mode.BYPASS: "bypass",
}


def body(report: Report, policy: CachePolicy) -> dict[str, Any]:
    """Return the reply's ``cache`` field.

    The status; age and TTL in whole seconds; the key; whether the answer is stored, or why not.
    """
    last = report.last
    told = {"status": _status(report, policy), **_stored(report)}
    if last is None:
        return {**told, "age": None, "ttl": None, "key": None}
    age = int(last.age) if last.status in SERVED else None
    ttl = None if last.ttl is None else int(last.ttl)
    return {**told, "age": age, "ttl": ttl, "key": last.key}


SERVED = (Status.HIT, Status.STALE)


def _stored(report: Report) -> dict[str, Any]:
    """Tell if the answer is in the cache, and if not, why."""
    stored = any(outcome.status in (*SERVED, Status.STORED) for outcome in report.outcomes)
    unstored = (Status.SKIPPED, Status.ERROR)
    whys = [outcome.why for outcome in report.outcomes if outcome.status in unstored]
    return {"stored": stored, "why": whys[-1] if whys and not stored else None}


def headers(report: Report, policy: CachePolicy) -> dict[str, str]:
    """Return ``Cache-Status`` (RFC 9211) and, for a hit, ``Age`` (RFC 9111, section 5.1)."""
    last = report.last
    if _collapsed(last):  # section 2.7
        return {"Cache-Status": f'{NAME}; fwd=uri-miss; collapsed; key="{_hash(last.key)}"'}
    if last is not None and (report.hits or last.status is Status.STALE):
        told = f'{NAME}; hit; ttl={int(last.ttl or 0)}; key="{_hash(last.key)}"'
        if not report.hits:  # RFC 9211, section 2.4: its ttl is negative
            told += "; detail=stale-if-error"
        return {"Cache-Status": told, "Age": str(int(last.age))}
    why = "miss" if report.errors else FORWARDED[policy.effective_mode]
    if any(outcome.why is Reason.TOO_OLD for outcome in report.having(Status.MISS)):
        why = "request"
    stored = f"; stored; ttl={int(last.ttl or 0)}" if last is not None and report.stored else ""
    key = f'; key="{_hash(last.key)}"' if last is not None else ""
    detail = "; detail=cache-unavailable" if report.errors else ""
    return {"Cache-Status": f"{NAME}; fwd={why}{stored}{key}{detail}"}


def _status(report: Report, policy: CachePolicy) -> str:
    last = report.last
    if _collapsed(last):
        return "collapsed"
    if last is not None and last.status is Status.STALE:
        return "stale"
    if report.hits:
        return "hit"
    if report.errors:
        return "error"
    if policy.effective_mode in (Mode.REFRESH, Mode.BYPASS):
        return str(policy.effective_mode)
    return "miss"


def _collapsed(last: Outcome | None) -> TypeGuard[Outcome]:
    """Whether the answer is one that another request was waiting for the model for."""
    return last is not None and last.why is Reason.COLLAPSED


def _hash(key: str) -> str:
    return key.rpartition(":")[2]
