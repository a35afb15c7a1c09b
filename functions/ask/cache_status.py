"""What the cache did for a request, as headers and as a field of the body."""

from __future__ import annotations

from typing import Any

from llm_cache import CachePolicy, Mode, Outcome, Reason, Report, Status

NAME = "llm-cache"
SERVED = (Status.HIT, Status.STALE)

# RFC 9211, section 2.2: why the request was forwarded to the model. Other misses are "uri-miss".
FORWARDED = {
    Reason.EXPIRED: "stale",
    Reason.TOO_OLD: "request",
    Reason.NOT_TAGGED: "request",
    Reason.NOT_READ: "request",
}


def body(report: Report, policy: CachePolicy) -> dict[str, Any]:
    """Return the reply's ``cache`` field.

    - ``status``, and ``stored``: whether the cache holds the answer
    - ``why``: the reason why the answer is not stored, else the reason of the miss
    - ``age`` and ``ttl`` in whole seconds, and ``key``
    """
    last, served = report.last, _served(report)
    lookup = served or _missed(report)
    stored = bool(report.stored or served)
    return {
        "status": _status(report, policy),
        "stored": stored,
        "why": _why(report, stored=stored),
        "age": int(served.age) if served else None,
        "ttl": int(last.ttl) if last and last.ttl is not None else None,
        "key": (lookup.key or None) if lookup else None,
    }


def headers(report: Report, policy: CachePolicy) -> dict[str, str]:
    """Return ``Cache-Status`` (RFC 9211) and, for a stored answer, ``Age`` (RFC 9111, 5.1)."""
    served = _served(report)
    if served is None:
        return {"Cache-Status": "; ".join([NAME, *_forwarded(report, policy)])}
    key = f'key="{_hash(served.key)}"'
    if served.why is Reason.COLLAPSED:  # RFC 9211, section 2.7
        return {"Cache-Status": f"{NAME}; fwd=uri-miss; collapsed; {key}"}
    parts = [NAME, "hit", f"ttl={int(served.ttl or 0)}", key]  # negative for an expired answer
    detail = "stale-if-error" if not report.hits and _missed(report) else served.why
    parts += [f"detail={detail}"] if detail else []
    return {"Cache-Status": "; ".join(parts), "Age": str(int(served.age))}


def _forwarded(report: Report, policy: CachePolicy) -> list[str]:
    """Return the parameters for an answer of the model, or for no answer."""
    last, missed, mode = report.last, _missed(report), policy.effective_mode
    why = missed.why if missed else None
    parts = [] if mode is Mode.ONLY_IF_CACHED else [f"fwd={_forward(missed, mode)}"]
    if last is not None and report.stored:
        parts += ["stored", f"ttl={int(last.ttl or 0)}"]
    if missed and missed.key:
        parts.append(f'key="{_hash(missed.key)}"')
    return [*parts, f"detail={why}"] if why else parts


def _forward(missed: Outcome | None, mode: Mode) -> str:
    if mode is Mode.BYPASS:
        return "bypass"
    if missed is None or missed.status is Status.ERROR:
        return "miss"  # unknown whether an answer is stored
    assert missed.why is not None  # noqa: S101  a miss has a reason
    return FORWARDED.get(missed.why, "uri-miss")


def _status(report: Report, policy: CachePolicy) -> str:
    served = _served(report)
    if served is not None:
        return "collapsed" if served.why is Reason.COLLAPSED else str(served.status)
    if report.errors:
        return "error"
    if policy.effective_mode in (Mode.REFRESH, Mode.BYPASS):
        return str(policy.effective_mode)
    return "miss"


def _served(report: Report) -> Outcome | None:
    """Return the outcome of the stored answer that the caller gets, if any."""
    last = report.last
    return last if last is not None and last.status in SERVED else None


def _missed(report: Report) -> Outcome | None:
    """Return the first lookup that missed or failed, if any."""
    return next((one for one in report.outcomes if one.status in (Status.MISS, Status.ERROR)), None)


def _why(report: Report, *, stored: bool) -> Reason | None:
    unstored = [one for one in report.outcomes if one.status in (Status.SKIPPED, Status.ERROR)]
    if unstored and not stored:
        return unstored[-1].why
    missed = _missed(report)
    return missed.why if missed else None


def _hash(key: str) -> str:
    return key.rpartition(":")[2]
