"""What X-Ray shows of an invocation, where the function brings ``aws-xray-sdk``; else nothing.

It is Powertools' Tracer without what that adds by itself: results, for answers are in them, errors
with all that they hold, and patches of other libraries.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from aws_lambda_powertools import Tracer

SDK = "aws_xray_sdk"  # some 0.2 seconds of a cold start, with the botocore that it imports
ON_LAMBDA = "LAMBDA_TASK_ROOT"

Handler = TypeVar("Handler", bound=Callable[..., Any])


def traced(handler: Handler) -> Handler:
    """Record what a handler takes as a subsegment, with the annotations ``ColdStart``, ``Service``.

    Elsewhere than on Lambda, or without the SDK, it is the handler as it was.
    """
    tracer = _tracer()
    if tracer is None:
        return handler
    record = tracer.capture_lambda_handler
    return cast(Handler, record(handler, capture_response=False, capture_error=False))


def annotate(counts: Mapping[str, Any]) -> None:
    """Annotate the subsegment at hand, to find traces by: ``annotation.CacheHits > 0``."""
    tracer = _tracer()
    if tracer is None:
        return
    try:
        for name, count in counts.items():
            tracer.put_annotation(name, count)
    except Exception:  # noqa: BLE001, S110  not below a traced handler; no answer is lost for it
        pass


@cache
def _tracer() -> Tracer | None:
    if not (os.environ.get(ON_LAMBDA) and find_spec(SDK)):
        return None
    from aws_lambda_powertools import Tracer  # noqa: PLC0415  who is traced has it

    return Tracer(auto_patch=False)
