"""X-Ray traces of an invocation, for functions that bring ``aws-xray-sdk``.

Powertools' Tracer makes them, without its defaults: results (they contain answers), the contents of
errors, and patches of other libraries.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from aws_lambda_powertools import Tracer

SDK = "aws_xray_sdk"  # costs a cold start 0.2 seconds, with botocore
ON_LAMBDA = "LAMBDA_TASK_ROOT"

Handler = TypeVar("Handler", bound=Callable[..., Any])


def traced(handler: Handler) -> Handler:
    """Record each call of a handler as a subsegment, annotated with ``ColdStart`` and ``Service``.

    Off Lambda, or without the SDK, return the handler unchanged.
    """
    tracer = _tracer()
    if tracer is None:
        return handler
    record = tracer.capture_lambda_handler
    return cast(Handler, record(handler, capture_response=False, capture_error=False))


def annotate(counts: Mapping[str, Any]) -> None:
    """Annotate the current subsegment, so that ``annotation.CacheHits > 0`` finds its trace."""
    tracer = _tracer()
    if tracer is None:
        return
    with suppress(Exception):  # it is not below a traced handler: a trace is optional
        for name, count in counts.items():
            tracer.put_annotation(name, count)


@cache
def _tracer() -> Tracer | None:
    if not (os.environ.get(ON_LAMBDA) and find_spec(SDK)):
        return None
    from aws_lambda_powertools import Tracer  # noqa: PLC0415  only for traced handlers

    return Tracer(auto_patch=False)
