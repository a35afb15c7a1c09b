"""Try to summarize the document of a message, and decide what happens to the message.

A message is done when its document has a summary or is gone. Otherwise it is put back, or becomes
a dead letter. SQS's own receive count is not enough: it counts tries that failed for other reasons
than the document.
"""

from __future__ import annotations

import time
from typing import Any

from aws_lambda_powertools import Logger

from budget import Budget
from message import Message, RetryHistory
from notification import document_name
from queues import dead_letter, put_back
from summary import metrics, summarize
from summary_errors import OutOfTime, PermanentError, TransientError, reason
from summary_ttl import requested_ttl

logger = Logger()
clock = time.time

ATTEMPTS = 5  # per document
BACKOFF = (120, 480, 900)  # seconds; the last one repeats, and is SQS's longest delay
SOON = 10  # seconds until another invocation continues a document
MAX_AGE = 7 * 86_400  # seconds that a document may wait before an operator must look at it


def process(message: Message, context: Any) -> bool:
    """Try to summarize the document of a message; return whether SQS may delete the message."""
    budget = Budget(context, message.retry.paid)
    try:
        done = _summarize(message, budget)
    except Exception as error:  # noqa: BLE001  every error decides what happens to the message
        sent = _resend(message, error, budget)
        extra = {"why": reason(error), "then": sent or "failed", "calls": budget.paid}
        logger.warning("not summarized", extra=extra)
        return bool(sent)
    logger.info("message done", extra=done | {"calls": budget.paid})
    return True


def _summarize(message: Message, budget: Budget) -> dict[str, str]:
    """Summarize the document; return the fields of the log line."""
    if message.attempts > ATTEMPTS:
        raise PermanentError("the last attempt crashed or timed out")
    if (name := document_name(message.body)) is None:
        return {"done": "no document"}
    done = summarize(name, requested_ttl(message.attributes), budget)
    return {"document": name.hashed, "done": done}


def _resend(message: Message, error: Exception, budget: Budget) -> str:
    """Put the message back or make it a dead letter; return which, or "" if sending failed."""
    free = isinstance(error, TransientError) and not budget.wasted
    attempts, age = message.attempts - free, message.age(clock())
    if isinstance(error, PermanentError) or attempts >= ATTEMPTS or age > MAX_AGE:
        if not dead_letter(message, reason(error)):
            return ""
        metrics.metrics.add_metric("DocumentsFailed", "Count", 1)
        return "dead letter"
    delay, delays = _delay(error, message.retry.delays, free=free)
    retry = RetryHistory(message.retry.since, attempts, delays, budget.paid)
    if not put_back(message, retry, delay):
        return ""
    metrics.metrics.add_metric("DocumentAge", "Seconds", age)
    return "put back"


def _delay(error: Exception, delays: int, *, free: bool) -> tuple[int, int]:
    """Return the seconds until the next try, and the number of backoffs including this one."""
    if not free:
        return BACKOFF[-1], delays  # leave the most time for the fault to end
    if isinstance(error, OutOfTime):
        return SOON, delays
    return BACKOFF[min(delays, len(BACKOFF) - 1)], delays + 1
