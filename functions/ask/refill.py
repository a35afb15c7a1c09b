"""After a clear: what was asked most is asked again, before those who asked it do.

Nobody is answered by it. Each question is asked under its own tenant, salt, tags and TTL, as the
cache has counted it, and its answer is stored as ever; one that is there by now is left alone.
"""

from __future__ import annotations

import json
import os
from collections import deque
from concurrent.futures import wait
from contextlib import suppress
from typing import Any

from aws_lambda_powertools import Logger

from answering import RESERVE, answer, metrics, responses
from defaults import defaults
from llm_cache import InvalidSettings, PopularRequest
from llm_cache.beside import beside
from llm_cache.settings import whole_of
from problems import Problem
from question import Question

logger = Logger()

VARIABLE = "REFILL_WORKERS"
WORKERS, MOST_WORKERS = 2, 10
ENOUGH = 10.0  # seconds: with less left, no question is begun
REFILLED, FAILED = "refilled", "failed"


def refill(context: Any) -> dict[str, int]:
    """Ask until all is asked or the time is over; return how many were found, refilled, failed."""
    with responses().policy(context=context):
        waiting = deque(responses().most_asked())
    found, outcomes = len(waiting), list[str]()

    def left() -> float:
        return float(context.get_remaining_time_in_millis() / 1000 - RESERVE)

    def work() -> None:
        with suppress(IndexError):  # nothing waits any more
            while left() > ENOUGH:
                outcomes.append(_asked(waiting.popleft(), waiting, context))

    wait([beside(work) for _ in range(workers())], max(left(), 0))
    told = {"found": found, **{what: outcomes.count(what) for what in (REFILLED, FAILED)}}
    metrics.metrics.add_metric("QuestionsRefilled", "Count", told[REFILLED])
    metrics.metrics.flush_metrics()
    logger.info("refilled", extra=told)
    return told


def workers() -> int:
    """Return how many questions are asked at once; raise ``InvalidSettings``."""
    told = whole_of(os.environ, VARIABLE, WORKERS)
    if told > MOST_WORKERS:
        raise InvalidSettings(VARIABLE, told, f"a whole number, 1 to {MOST_WORKERS}")
    return told


def _asked(popular: PopularRequest, waiting: deque[PopularRequest], context: Any) -> str:
    """Ask one question, and say what came of it."""
    policy = popular.policy.within(defaults())
    try:
        # What the operator allows may have changed, and unsealed it may be anybody's.
        question = Question.from_json(json.dumps(popular.request).encode())
        with responses().policy(policy, context=context) as report:
            answer(question.request)
    except Problem as problem:
        if problem.code == "model_busy":
            waiting.clear()  # what it can still do is for those who wait for it
        logger.warning("not refilled", extra=problem.logged)
        return FAILED
    except Exception as error:  # noqa: BLE001  there are others to ask
        logger.warning("not refilled", extra={"cause": type(error).__name__})
        return FAILED
    return REFILLED if report.stored else ""
