"""One attempt at the document of a message, and what becomes of the message after it.

A message is done with when its document has a summary, or is gone. Else it is put back, or becomes
a dead letter. SQS's own count of receives would not do: it counts what is no fault of the document.
"""

from __future__ import annotations

import time

from aws_lambda_powertools import Logger

from bill import Bill
from faults import NotNow, OutOfTime, Permanent, why
from lifetimes import asked_for
from message import Message, Retry
from notification import named
from queues import dead_letter, put_back
from summary import metrics, summarize

logger = Logger()
clock = time.time

ATTEMPTS = 5  # that a document at fault may cost
BACKOFF = (120, 480, 900)  # seconds; the last, for all later ones, is the longest that SQS delays
SOON = 10  # seconds, after which another invocation goes on with a document
PATIENCE = 7 * 86_400  # seconds that a document may wait: then somebody must look at it


def attempted(message: Message) -> bool:
    """Summarize the document of a message; return whether SQS may delete the message."""
    bill = Bill(message.retry.paid)
    try:
        told = _summarized(message, bill)
    except Exception as error:  # noqa: BLE001  any error decides what becomes of the message
        sent = _settled(message, error, bill)
        extra = {"why": why(error), "then": sent or "failed", "calls": bill.total}
        logger.warning("not summarized", extra=extra)
        return bool(sent)
    logger.info("message done", extra=told | {"calls": bill.total})
    return True


def _summarized(message: Message, bill: Bill) -> dict[str, str]:
    """Summarize it; return what the log says of it."""
    if message.attempts > ATTEMPTS:
        raise Permanent("the last attempt crashed or timed out")
    if (name := named(message.body)) is None:
        return {"done": "no document"}
    done = summarize(name, asked_for(message.attributes), bill)
    return {"document": name.hashed, "done": done}


def _settled(message: Message, error: Exception, bill: Bill) -> str:
    """Send the message to where it belongs; return where that is, "" if it could not be sent."""
    free = isinstance(error, NotNow) and not bill.wasted
    attempts, age = message.attempts - free, message.age(clock())
    if isinstance(error, Permanent) or attempts >= ATTEMPTS or age > PATIENCE:
        if not dead_letter(message, why(error)):
            return ""
        metrics.metrics.add_metric("DocumentsFailed", "Count", 1)
        return "dead letter"
    delay, delays = _delay(error, message.retry.delays, free=free)
    retry = Retry(message.retry.since, attempts, delays, bill.total)
    if not put_back(message, retry, delay):
        return ""
    metrics.metrics.add_metric("DocumentAge", "Seconds", age)
    return "put back"


def _delay(error: Exception, delays: int, *, free: bool) -> tuple[int, int]:
    """Return the seconds until the next try, and how many tries were delayed by then."""
    if not free:
        return BACKOFF[-1], delays  # an attempt is spent, so what is wrong gets the time to end
    if isinstance(error, OutOfTime):
        return SOON, delays
    return BACKOFF[min(delays, len(BACKOFF) - 1)], delays + 1
